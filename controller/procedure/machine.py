"""The table handed to `transitions`: synchronous, without callbacks, with no rule of its own.

The library is used for what it is good at, refusing what the table does not allow.  Everything that
made it lose an emergency stop in measurements (async machines, queues, callbacks, automatic
transitions) is switched off.
"""

from __future__ import annotations

from transitions import Machine, MachineError

from controller.procedure.table import CLOSED, TABLE, State, Trigger


class IllegalTrigger(RuntimeError):
    """The table has no transition for this trigger in this state: a fault of ours."""

    def __init__(self, state: State, trigger: Trigger) -> None:
        super().__init__(f"{trigger.value} is not legal in {state.value}")
        self.state = state
        self.trigger = trigger


class Procedure:
    """A visit's place in the table; `fire` is the only thing that moves it."""

    def __init__(self, initial: State = State.PREPARING) -> None:
        self._machine = Machine(
            model="self",
            states=[state.value for state in State],
            initial=initial.value,
            transitions=[
                {"trigger": trigger.value, "source": source.value, "dest": target.value}
                for (source, trigger), target in TABLE.items()
            ],
            auto_transitions=False,
            queued=False,
            send_event=False,
        )
        self._state = initial

    @property
    def state(self) -> State:
        """Where the visit stands."""
        return self._state

    def fire(self, trigger: Trigger) -> State:
        """Move along ``trigger``; returns the state left.  Raises `IllegalTrigger`, moving nothing."""
        previous = self._state
        try:
            self._machine.trigger(trigger.value)
        except MachineError as error:
            raise IllegalTrigger(previous, trigger) from error
        self._state = State(self._machine.state)
        return previous


def as_mermaid() -> str:
    """The table as a Mermaid state diagram; the two ways out of every state are drawn as notes."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.PREPARING.value}"]
    everywhere = {Trigger.EMERGENCY_STOP, Trigger.FAIL, Trigger.ABORT}
    for (source, trigger), target in TABLE.items():
        if trigger not in everywhere:
            lines.append(f"    {source.value} --> {target.value}: {trigger.value}")
    lines += [f"    {state.value} --> [*]" for state in State if state in CLOSED]
    lines += [
        f"    note right of {State.EMERGENCY_STOPPED.value}: from every state; nothing leaves it",
        f"    note right of {State.FAULT.value}: from every state but emergency_stopped",
        f"    note right of {State.ABORTED.value}: from every state that is not an end",
    ]
    return "\n".join(lines) + "\n"
