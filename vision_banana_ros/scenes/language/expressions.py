# SPDX-License-Identifier: Apache-2.0
"""Words for what can be seen: "the red ball left of the box", with the pixels that they mean.

Every phrase is judged against everything that can be seen, with three verdicts: it fits, it does not, or one
may argue (two things nearly equally big, nearly side by side). A phrase is spoken only where it fits exactly
what it means and nobody may argue.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from vision_banana_ros.scenes.materials import COLORS
from vision_banana_ros.scenes.solids import CLASSES, STRUCTURE, WorldObject
from vision_banana_ros.scenes.views import View

Verdict = bool | None
LEAST = 40 / (192 * 256)
"""Share of the picture from which on a thing may be asked for; any pixel of another one makes that a
rival."""

SYNONYMS = {
    "ball": ("ball", "ball", "sphere"),
    "box": ("box", "box", "package"),
    "barrel": ("barrel", "barrel", "drum"),
    "cone": ("cone", "traffic cone"),
    "cable": ("cable", "cord"),
    "sofa": ("sofa", "couch"),
    "person": ("person", "person", "human"),
    "glass": ("glass panel", "pane of glass"),
    "plant": ("plant",),
}
PLURALS = {
    "shelf": "shelves",
    "box": "boxes",
    "person": "people",
    "glass": "glass panels",
    "stairs": "stairs",
    "bush": "bushes",
}
ADJECTIVES = {
    "wood": "wooden",
    "cardboard": "cardboard",
    "metal": "metal",
    "plastic": "plastic",
    "ceramic": "ceramic",
}
OWN_NAME = ("cup", "shelf", "sofa")
"""Classes whose name does not suit all of their things: a bowl, a wardrobe, an armchair."""
COLORLESS = ("window", "mirror", "glass", "stairs", "pallet", "plant")
ALIKE = (  # colours that light or taste can turn into one another
    {"red", "orange"}, {"orange", "yellow"}, {"orange", "brown"}, {"red", "pink"}, {"pink", "purple"},
    {"blue", "purple"}, {"white", "gray"}, {"gray", "black"}, {"brown", "black"}, {"red", "brown"},
    {"yellow", "brown"},
    {"pink", "white"}, {"yellow", "white"}, {"purple", "black"}, {"orange", "pink"},
)  # fmt: skip
SIZED = (
    "box",
    "ball",
    "barrel",
    "cone",
    "plant",
    "window",
    "table",
    "shelf",
    "cup",
    "vehicle",
    "sofa",
    "mirror",
    "pallet",
)
TALL = ("box", "barrel", "cone", "plant", "shelf", "person", "vehicle", "chair", "glass")
ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Expression:
    """Words and the pixels they mean, (H, W) bool.

    Where `fits` is False, they mean nothing and the mask is empty.
    """

    text: str
    mask: np.ndarray
    fits: bool = True


@dataclass(frozen=True)
class Seen:
    """An object in a view.

    Place of its visible pixels (0-1 across and down), mean depth in metres, pixels.
    """

    object: WorldObject
    u: float
    v: float
    depth: float
    pixels: int


Extreme = tuple[Callable[[Seen], float], float, int, tuple[str, ...]]
"""A measure, the gap it needs, +1 for the least or -1 for the most, and words for it."""


@dataclass(frozen=True)
class Phrase:
    """Words for a kind of thing, without their article, and the verdict on any object."""

    words: str
    judge: Callable[[Seen], Verdict]


def everything(view: View) -> list[Seen]:
    """Every object of which a pixel can be seen, with where it is."""
    flat = view.instances.ravel()
    n = len(view.world.objects) + 1
    height, width = view.instances.shape
    count = np.bincount(flat, minlength=n)
    columns = np.bincount(flat, np.tile(np.arange(width), height), n)
    rows = np.bincount(flat, np.repeat(np.arange(height), width), n)
    depth = np.bincount(flat, np.where(flat > 0, view.depth_m.ravel(), 0.0), n)
    seen = []
    for o in view.world.objects:
        if pixels := int(count[k := o.instance]):
            # plain floats: the verdicts that come of them are told from None and False by identity
            u, v = float(columns[k] / pixels + 0.5) / width, float(rows[k] / pixels + 0.5) / height
            seen.append(Seen(o, u, v, float(depth[k] / pixels), pixels))
    return seen


def is_a(seen: Seen, noun: str) -> Verdict:
    """One may argue whether a floor lamp is meant by "lamp"."""
    if noun in (seen.object.name, seen.object.class_name):
        return True
    return None if seen.object.name.endswith(" " + noun) else False


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith("s") and not noun.endswith(("ss", "us")):
        return noun  # slippers
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeou" else noun + "s"


def alike(a: str, b: str) -> bool:
    """Whether two nouns name the same kind of thing."""
    return a != b and any({a, b} == pair for pair in ALIKE)


def kind(rng: np.random.Generator, noun: str) -> Phrase:
    """Things of a name or class: "ball"."""
    words = SYNONYMS.get(noun, (noun,))
    return Phrase(str(rng.choice(words)), lambda s: is_a(s, noun))


def colored(rng: np.random.Generator, noun: str, color: str) -> Phrase:
    """Things of a kind and colour: "red ball", "person in red"."""
    base = kind(rng, noun)
    shown = "grey" if color == "gray" and rng.random() < 0.4 else color
    if noun == "person":
        words = str(rng.choice([f"{base.words} in {shown}", f"{base.words} wearing a {shown} shirt"]))
    else:
        words = f"{shown} {base.words}"

    def judge(s: Seen) -> Verdict:
        seen = s.object.color
        # what is of several colours, or of none that has a name here, may be called by any
        return all_of((base.judge(s), None if alike(seen, color) or seen not in COLORS else seen == color))

    return Phrase(words, judge)


def made_of(rng: np.random.Generator, noun: str, material: str) -> Phrase:
    """Things of a kind and material: "wooden table"."""
    base = kind(rng, noun)

    def fits(s: Seen) -> Verdict:
        return s.object.material == material if s.object.material else None

    return Phrase(f"{ADJECTIVES[material]} {base.words}", lambda s: all_of((base.judge(s), fits(s))))


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Three-valued "and"."""
    worst: Verdict = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict is None:
            worst = None
    return worst


def differs(value: float, other: float, gap: float) -> Verdict:
    """Whether value < other, by more than `gap`; None where they are too close."""
    return None if abs(value - other) <= gap else value < other


class Speaker:
    """Says things about one view."""

    def __init__(self, view: View, rng: np.random.Generator):
        self.view, self.rng = view, rng
        self.seen = everything(view)
        least = max(1.0, LEAST * view.instances.size)
        self.targets = [s for s in self.seen if s.pixels >= least]

    # ---- the parts of phrases

    def pick(self, options: Iterable):  # type: ignore[no-untyped-def, type-arg]
        """A random one of the options."""
        listed = list(options)
        return listed[int(self.rng.integers(len(listed)))]

    def noun(self, target: Seen) -> str:
        """A noun for the object."""
        o = target.object
        return o.class_name if self.rng.random() < 0.5 and o.class_name not in OWN_NAME else self.named(o)

    @staticmethod
    def named(o: WorldObject) -> str:
        """The object's own name, or that of its class."""
        return "glass" if o.class_name == "glass" else o.name

    def describe(self, target: Seen, rich: bool) -> Phrase:
        """A phrase that fits the target, and maybe others."""
        noun, o = self.noun(target), target.object
        if rich and o.color in COLORS and o.class_name not in COLORLESS and self.rng.random() < 0.75:
            return colored(self.rng, noun, o.color)
        if rich and o.material in ADJECTIVES and self.rng.random() < 0.6:
            return made_of(self.rng, noun, o.material)
        return kind(self.rng, noun)

    def rivals(self, phrase: Phrase) -> list[Seen] | None:
        """What the phrase fits; None where one may argue."""
        verdicts = [(s, phrase.judge(s)) for s in self.seen]
        return None if any(v is None for _, v in verdicts) else [s for s, v in verdicts if v]

    def means(self, phrase: Phrase, target: Seen) -> bool:
        """Whether the phrase describes the object."""
        return self.rivals(phrase) == [target]

    def say(self, words: str, targets: Iterable[Seen]) -> Expression:
        """An expression with the mask of its targets."""
        wanted = [s.object.instance for s in targets]
        return Expression(words, np.isin(self.view.instances, wanted))

    def anchor(self, target: Seen) -> tuple[Phrase, Seen] | None:
        """Something else that a simple phrase tells apart."""
        others = [s for s in self.targets if s is not target]
        for _ in range(4):
            if not others:
                return None
            other = self.pick(others)
            phrase = self.describe(other, rich=bool(self.rng.random() < 0.6))
            if self.means(phrase, other):
                return phrase, other
        return None

    # ---- what may be said; each returns None where it does not work out

    def plain(self, target: Seen) -> Expression | None:
        """An expression by noun and attributes alone."""
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.7))
        return self.say(f"the {phrase.words}", [target]) if self.means(phrase, target) else None

    def superlative(self, target: Seen) -> Expression | None:
        """Size, distance, extremes of position."""
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.4))
        group = self.rivals(phrase)
        if group is None or len(group) < 2 or target not in group:
            return None

        def size(s: Seen) -> float:
            w, d, h = s.object.size_m
            return float(np.log(w * d * h)) / 3

        def height(s: Seen) -> float:
            return float(np.log(s.object.size_m[2]))

        def depth(s: Seen) -> float:
            return float(np.log(s.depth))

        extremes: list[Extreme] = [
            (depth, 0.12, 1, ("nearest {}", "closest {}", "{} nearest to the camera", "{} closest to us")),
            (depth, 0.12, -1, ("farthest {}", "{} farthest from the camera", "most distant {}")),
            (lambda s: s.u, 0.06, 1, ("leftmost {}", "{} farthest to the left")),
            (lambda s: s.u, 0.06, -1, ("rightmost {}", "{} farthest to the right")),
        ]  # fmt: skip
        if all(s.object.class_name in SIZED for s in group):
            extremes += [
                (size, 0.1, -1, ("biggest {}", "largest {}")),
                (size, 0.1, 1, ("smallest {}", "littlest {}")),
            ]
        if all(s.object.class_name in TALL for s in group):
            extremes += [(height, 0.12, -1, ("tallest {}",)), (height, 0.12, 1, ("shortest {}",))]
        key, gap, sign, words = self.pick(extremes)
        others = [s for s in group if s is not target]
        if not all(differs(sign * key(target), sign * key(s), gap) for s in others):
            return None
        if key in (size, height) and not all(sign * target.pixels < sign * s.pixels for s in others):
            return None  # what is bigger but looks smaller is a matter of opinion
        return self.say("the " + self.pick(words).format(phrase.words), [target])

    def order(self, target: Seen) -> Expression | None:
        """The second chair from the left."""
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.3))
        group = self.rivals(phrase)
        if group is None or not 3 <= len(group) <= 6 or target not in group:
            return None
        side = self.pick(("left", "right"))
        row = sorted(group, key=lambda s: s.u if side == "left" else -s.u)
        if any(abs(a.u - b.u) < 0.05 for a, b in zip(row, row[1:], strict=False)):
            return None
        place = row.index(target)
        if len(row) % 2 and place == len(row) // 2 and self.rng.random() < 0.5:
            return self.say(f"the {phrase.words} in the middle", [target])
        if place >= len(ORDINALS):
            return None
        return self.say(f"the {ORDINALS[place]} {phrase.words} from the {side}", [target])

    def side(self, target: Seen) -> Expression | None:
        """The ball on the left."""
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.4))
        where, value = self.pick((("left", target.u), ("right", 1 - target.u)))
        if value > 0.4:
            return None

        def judge(s: Seen) -> Verdict:
            u = s.u if where == "left" else 1 - s.u
            return all_of((phrase.judge(s), None if 0.42 < u < 0.58 else u < 0.5))

        if not self.means(Phrase("", judge), target):
            return None
        tail = self.pick(("on the {0}", "on the {0} side", "at the {0}", "in the {0} half of the picture"))
        return self.say(f"the {phrase.words} {tail.format(where)}", [target])

    def relations(self, other: Seen) -> list[tuple[tuple[str, ...], Callable[[Seen], Verdict]]]:
        """Relations to another thing: words, and the verdict on an object."""

        def on(s: Seen) -> Verdict:
            return s.object.on == other.object.instance

        return [
            (("left of", "to the left of"), lambda s: differs(s.u, other.u, 0.06)),
            (("right of", "to the right of"), lambda s: differs(-s.u, -other.u, 0.06)),
            (
                ("in front of",),
                lambda s: all_of((differs(s.depth, other.depth - 0.2, 0.15), abs(s.u - other.u) < 0.25)),
            ),
            (
                ("behind",),
                lambda s: all_of((differs(-s.depth, -other.depth - 0.2, 0.15), abs(s.u - other.u) < 0.25)),
            ),
            (("on", "on top of", "standing on"), on),
            (("on", "on top of"), on),
        ]

    def relation(self, target: Seen) -> Expression | None:
        """The ball left of the box."""
        found = self.anchor(target)
        if found is None:
            return None
        anchor, other = found
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.4))
        words, holds = self.pick(self.relations(other))
        both = Phrase("", lambda s: False if s is other else all_of((phrase.judge(s), holds(s))))
        if not self.means(both, target):
            return None
        return self.say(f"the {phrase.words} {self.pick(words)} the {anchor.words}", [target])

    def nearest_to(self, target: Seen) -> Expression | None:
        """The chair nearest to the door, measured in the world."""
        found = self.anchor(target)
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.3))
        group = self.rivals(phrase)
        if found is None or group is None or target not in group or len(group) < 2:
            return None
        anchor, other = found

        def away(s: Seen) -> float:
            return float(np.linalg.norm(np.subtract(s.object.center, other.object.center)))

        if any(away(s) < 1.3 * away(target) for s in group if s not in (target, other)):
            return None
        tail = self.pick(("nearest to", "closest to", "next to"))
        return self.say(f"the {phrase.words} {tail} the {anchor.words}", [target])

    def stands_on(self, target: Seen) -> Expression | None:
        """What the mug stands on; what stands on the table."""
        above = [s for s in self.seen if s.object.on == target.object.instance]
        if above and self.rng.random() < 0.6:
            top = self.pick(above)
            phrase = self.describe(top, rich=bool(self.rng.random() < 0.6))
            if self.means(phrase, top):
                words = self.pick(("what the {} stands on", "what is under the {}", "the thing below the {}"))
                return self.say(words.format(phrase.words), [target])
            return None
        below = [s for s in self.targets if s.object.instance == target.object.on]
        if not below:
            return None
        base = below[0]
        phrase = self.describe(base, rich=bool(self.rng.random() < 0.5))
        siblings = [s for s in self.seen if s.object.on == base.object.instance]
        if not self.means(phrase, base) or (len(siblings) > 1 and self.rng.random() < 0.7):
            return None
        words = self.pick(("what stands on the {}", "what is on the {}", "everything on the {}"))
        if len(siblings) == 1:
            words = self.pick(("what stands on the {}", "the thing on the {}", "what is on the {}"))
        return self.say(words.format(phrase.words), siblings)

    def several(self, target: Seen) -> Expression | None:
        """All chairs, all red balls."""
        noun, color = self.noun(target), target.object.color
        if (
            self.rng.random() < 0.3
            and color in COLORS
            and target.object.class_name not in (*COLORLESS, "person")
        ):
            phrase = colored(self.rng, noun, color)
            words = f"{color} {plural(noun)}"
        else:
            phrase, words = kind(self.rng, noun), plural(noun)
        group = self.rivals(phrase)
        if group is None or len(group) < 2:
            return None
        return self.say(
            self.pick(("all {}", "the {}", "all the {}", "every one of the {}")).format(words), group
        )

    def stuff(self, target: Seen) -> Expression | None:
        """The floor, the walls."""
        present = [
            CLASSES[k] for k in np.unique(self.view.labels) if k < len(CLASSES) and CLASSES[k] in STRUCTURE
        ]
        if not present:
            return None
        name = self.pick(present)
        words = {"wall": ("the wall", "the walls"), "floor": ("the floor",), "ground": ("the ground",)}.get(
            name, (f"the {name}",)
        )
        return Expression(self.pick(words), self.view.labels == CLASSES.index(name))

    # ---- what fits nothing

    def absent(self) -> str | None:
        """A thing that is not there."""
        there = {
            word
            for s in self.seen
            for name in (s.object.name, s.object.class_name)
            for word in (name, *name.split())
        }
        nouns = [c for c in CLASSES if c not in STRUCTURE and c not in there]
        if not nouns:
            return None
        noun = self.pick(nouns)
        words = kind(self.rng, noun).words
        drawn = self.rng.random()
        if drawn < 0.35 and noun not in (*COLORLESS, "person"):
            words = f"{self.pick(COLORS)} {words}"
        elif drawn < 0.6:
            words += self.pick((" on the left", " on the right", " in the middle", " nearest to the camera"))
        elif drawn < 0.7:
            words = f"{self.pick(('biggest', 'smallest', 'leftmost', 'second', 'wooden'))} {words}"
        return words

    def miscolored(self) -> str | None:
        """A thing that is there, in a colour that it does not have."""
        targets = [s for s in self.targets if s.object.class_name not in COLORLESS]
        if not targets:
            return None
        noun = self.noun(self.pick(targets))
        phrase = colored(self.rng, noun, self.pick(COLORS))
        return phrase.words if all(phrase.judge(s) is False for s in self.seen) else None

    def misplaced(self) -> str | None:
        """Two things that are there, in a relation that does not hold."""
        if not self.targets:
            return None
        target = self.pick(self.targets)
        found = self.anchor(target)
        if found is None:
            return None
        anchor, other = found
        phrase = self.describe(target, rich=bool(self.rng.random() < 0.3))
        words, holds = self.pick(self.relations(other))
        if any(
            all_of((phrase.judge(s), holds(s))) is not False
            for s in self.seen
            if s.object is not other.object
        ):
            return None
        return f"{phrase.words} {self.pick(words)} the {anchor.words}"

    def miscounted(self) -> str | None:
        """The third ball from the left, of two."""
        if not self.targets:
            return None
        noun = self.noun(self.pick(self.targets))
        phrase = kind(self.rng, noun)
        count = len(self.rivals(phrase) or ())
        if not 1 <= count < len(ORDINALS):
            return None
        return f"{self.pick(ORDINALS[count:])} {phrase.words} from the {self.pick(('left', 'right'))}"

    # ---- one expression

    STYLES = (
        (plain, 5), (superlative, 4), (order, 2), (side, 3), (relation, 4), (nearest_to, 2), (stands_on, 2),
        (several, 1), (stuff, 0.6),
    )  # fmt: skip
    MISSES = ((absent, 4), (miscolored, 4), (misplaced, 2), (miscounted, 1))

    def draw(self, choices: tuple) -> Callable:  # type: ignore[type-arg]
        """One of the ways to describe, drawn by weight."""
        weights = np.array([w for _, w in choices], float)
        return choices[int(self.rng.choice(len(choices), p=weights / weights.sum()))][0]

    def hit(self) -> Expression | None:
        """An expression that matches at least one object, or None."""
        style = self.draw(self.STYLES)
        if style is Speaker.stuff:
            return self.stuff(None)  # type: ignore[arg-type]
        return style(self, self.pick(self.targets)) if self.targets else None

    def miss(self) -> Expression | None:
        """An expression that matches nothing, or None."""
        words = self.draw(self.MISSES)(self)
        return (
            None
            if words is None
            else Expression(f"the {words}", np.zeros(self.view.instances.shape, bool), False)
        )


def expressions(view: View, rng: np.random.Generator, n: int, misses: float = 0.2) -> list[Expression]:
    """Up to n expressions about a view, all different; about a share `misses` of them fits nothing.

    Fewer come back where there is not so much to say, as before an empty wall.
    """
    speaker = Speaker(view, rng)
    said: dict[str, Expression] = {}
    for _ in range(n):
        wanted_miss = rng.random() < misses
        for _ in range(40):
            expression = speaker.miss() if wanted_miss else speaker.hit()
            if expression is not None and expression.text not in said:
                said[expression.text] = expression
                break
    return list(said.values())
