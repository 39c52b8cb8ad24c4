"""Groups of sinks: which members get a message, and where that goes which waits for a member that is down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

from capture_agent.config.configured_sinks import ConfiguredGroup
from capture_agent.config.groups import GroupMode
from capture_agent.delivery.rendezvous import MemberChoice, hashed, share
from capture_agent.records.traced import TracedMessage


class Member(Protocol):
    """An outbox, as its groups see it."""

    @property
    def up_seconds(self) -> float:
        """Since its sink was reached again; infinite: it was never down; negative: it is."""

    @property
    def is_busy(self) -> bool:
        """Whether it has messages that may yet have to move."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and the sink has confirmed everything."""

    def relieve_by(self, relief: Relief | None) -> None:
        """Others of its groups, from now on; None: it is in no group."""

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        """Messages that have waited elsewhere: all of them, or none if it is full or closed."""


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """A group at one moment. `members`: by sink id, whether it gets messages now, if the group has any."""

    name: str
    mode: GroupMode
    up: bool
    members: Mapping[int, bool]


class DeliveryGroup:
    """A member is out once its sink is down and all that waited for it has moved. Before that it gets the messages
    of its calls as before, so that they stay in order. It is back when it has been up for `back_after_seconds`.
    """

    def __init__(
        self, configured: ConfiguredGroup, members: Mapping[int, Member], former: DeliveryGroup | None
    ) -> None:
        """`former`: the group of this name before a reload. A member that stays is out if it was."""
        self.group = configured.group
        self.id, self.bit = configured.id, configured.bit
        self.members = {id_: members[id_] for id_ in configured.members}
        seed = self.group.seed.encode()
        self._weights = {id_: hashed(text.encode(), seed) for id_, text in configured.members.items()}
        self._out: set[int] = set()
        self._active: tuple[int, ...] = ()
        if former is not None:
            stay = {id_ for id_, member in self.members.items() if former.members.get(id_) is member}
            self._out = former._out & stay
            self._active = tuple(id_ for id_ in former._active if id_ in stay)
        self._choices: dict[tuple[int, ...], MemberChoice] = {}

    @property
    def is_mirror(self) -> bool:
        return self.group.mode == "mirror"

    def active(self) -> tuple[int, ...]:
        """The members that get messages now."""
        up = tuple(id_ for id_, member in self.members.items() if member.up_seconds >= 0)
        if up and len(up) < len(self.members):  # nothing has to move first
            self._out |= {id_ for id_, member in self.members.items() if id_ not in up and member.is_empty}
        if self._out:
            after = self.group.back_after_seconds
            self._out = {id_ for id_ in self._out if not 0 <= self.members[id_].up_seconds >= after}
        usable = tuple(id_ for id_ in self.members if id_ not in self._out)
        if not usable:  # none has been up for long enough: those that are up, as before if possible
            usable = tuple(id_ for id_ in self._active if id_ in up) or up or tuple(self.members)
        self._active = usable[:1] if self.group.mode == "failover" else usable
        return self._active

    def choice(self) -> MemberChoice:
        return self._among(tuple(self.members) if self.is_mirror else self.active())

    def heirs_of(self, member: int) -> MemberChoice | None:
        """Which members get what waits for this one; None: no other is up."""
        up = [id_ for id_ in self.members if id_ != member and self.members[id_].up_seconds >= 0]
        usable = tuple(id_ for id_ in up if id_ not in self._out) or tuple(up)
        if not usable:
            return None
        return self._among(usable[:1] if self.group.mode == "failover" else usable)

    def leave(self, member: int) -> None:
        """All that waited for it has moved: new messages follow, also if those that got it are down by now."""
        self._out.add(member)
        for id_, other in self.members.items():
            if other.up_seconds < 0 and other.is_empty:
                self._out.add(id_)

    def is_out(self, member: int) -> bool:
        return member in self._out

    def standing(self) -> GroupStanding:
        active = tuple(self.members) if self.is_mirror else self.active()
        up = any(member.up_seconds >= 0 for member in self.members.values())
        return GroupStanding(self.group.name, self.group.mode, up, {id_: id_ in active for id_ in self.members})

    def _among(self, ids: tuple[int, ...]) -> MemberChoice:
        if (known := self._choices.get(ids)) is not None:
            return known
        bits = [1 << id_ for id_ in ids]
        fixed = sum(bits) if self.is_mirror or len(ids) == 1 else 0
        weights = [self._weights[id_] for id_ in ids]
        made = MemberChoice(self.bit, fixed, self.group.key == "leg", self.group.seed.encode(), weights, bits)
        if len(self._choices) < MOST_CHOICES:
            self._choices[ids] = made
        return made


MOST_CHOICES = 256  # sets of members whose choice is remembered


class Groups:
    """All groups of the routes. `lock`: held while messages are handed to outboxes, so that none goes to a member
    after it has left.
    """

    def __init__(
        self, configured: Iterable[ConfiguredGroup], members: Mapping[int, Member], former: Groups | None = None
    ) -> None:
        self.lock = RLock()
        self.all: list[DeliveryGroup] = []
        known = {} if former is None else {one.group.name: one for one in former.all}
        with self.lock if former is None else former.lock:
            self.all += [DeliveryGroup(one, members, known.get(one.group.name)) for one in configured]
        for id_, member in members.items():
            of_it = [one for one in self.all if id_ in one.members]
            member.relieve_by(Relief(self, id_, of_it) if of_it else None)

    def share(self, batch: Sequence[TracedMessage]) -> list[int]:
        """For each message, the bits of the sinks that get it."""
        return share(batch, [group.choice() for group in self.all])

    def standings(self) -> list[GroupStanding]:
        with self.lock:
            return [group.standing() for group in self.all]


Heirs = Sequence[MemberChoice | None]  # of each group of a member, who gets what waits for it; None: nobody


class Relief:
    """Of one member: the others take what waits for it while its sink is down."""

    def __init__(self, groups: Groups, member: int, of_it: Sequence[DeliveryGroup]) -> None:
        self._lock = groups.lock
        self._all = groups.all
        self._member = member
        self._groups = [group for group in of_it if not group.is_mirror]
        # A message with one of these bits is the member's own: something else than a group has chosen it.
        self._own = 1 << member | sum(group.bit for group in of_it if group.is_mirror)

    def heirs(self) -> Heirs:
        """Who gets what waits here now."""
        return [group.heirs_of(self._member) for group in self._groups]

    def offers(self) -> bool:
        """Whether another member is up."""
        return any(self.heirs())

    @property
    def is_out(self) -> bool:
        return any(group.is_out(self._member) for group in self._groups)

    @property
    def others_are_busy(self) -> bool:
        """Whether another member has messages that may have to move here."""
        return any(
            member.is_busy for group in self._groups for id_, member in group.members.items() if id_ != self._member
        )

    @property
    def is_safe(self) -> bool:
        """Whether the group goes on without this member."""
        return bool(self._groups) and all(self.heirs())

    def move(self, batch: Sequence[TracedMessage], to_them: Heirs) -> tuple[list[TracedMessage], bool]:
        """Hand them to the others, in order. What is left; and whether some of it may move later.

        All that waits goes to the same others, also if they are down meanwhile: it stays together, and in order.
        The member's own messages stay. So do those for several of its groups: which of them has chosen it is not known.
        """
        heirs = {
            group.bit: (group, choice)
            for group, choice in zip(self._groups, to_them, strict=True)
            if choice is not None
        }
        mirrors = [(group.bit, group.choice().fixed) for group in self._all if group.is_mirror]
        mine = sum(group.bit for group in self._groups)
        parts: dict[int, tuple[Member, list[TracedMessage], list[int]]] = {}  # by id, with their places in the batch
        left: set[int] = set()
        for place, message in enumerate(batch):
            found = heirs.get(message.sinks & mine)
            if found is None or message.sinks & self._own:
                left.add(place)
                continue
            group, choice = found
            sinks = message.sinks
            (chosen,) = share((message,), (choice,))
            for bit, mask in mirrors:
                sinks |= mask if sinks & bit else 0
            if not (to := chosen & ~sinks):
                continue  # it has gone there already
            id_ = to.bit_length() - 1
            _, messages, places = parts.setdefault(id_, (group.members[id_], [], []))
            messages.append(message)
            places.append(place)
        full = False
        for member, messages, places in parts.values():
            if not member.accept(messages):
                full = True
                left.update(places)
        return [message for place, message in enumerate(batch) if place in left], full

    def leave(self, to_them: Heirs, is_empty: Callable[[], bool]) -> bool:
        """The member is out from now on, if nothing waits for it that these others could have got."""
        with self._lock:
            if not is_empty():
                return False
            for group, choice in zip(self._groups, to_them, strict=True):
                if choice is not None:
                    group.leave(self._member)
            return True
