# SPDX-License-Identifier: Apache-2.0
"""The noun, the class and the role in a scene of a catalogue's models.

The first rule whose pattern occurs in the lower-case name applies. A class of `CLASSES` is assigned as a
person would, and as in the procedural scenes (an armchair is a sofa, a wardrobe a shelf); everything else has
its noun as class name and is unlabelled (255) in the semantic ground truth.
"""

import re
from dataclasses import dataclass

from vision_banana_ros.scenes.furnished.catalogue import Entry
from vision_banana_ros.scenes.solids import CLASSES

UNLABELLED = 255


@dataclass(frozen=True)
class Naming:
    """noun: how people call it.

    Class_name: one of `CLASSES`, or the noun. role: see `worlds.py`; "" is never placed.
    """

    noun: str
    class_name: str
    role: str

    @property
    def label(self) -> int:
        """Index into `CLASSES`, or 255."""
        return CLASSES.index(self.class_name) if self.class_name in CLASSES else UNLABELLED


# pattern, class ("" for none), noun ("" for the name itself), role ("" for things that no scene has a place
# for)
RULES: tuple[tuple[str, str, str, str], ...] = (
    (r"light source|^(box|cylinder|triangle)@eteks|elevator|hatch", "", "", ""),
    (r"door frame|open door|arched|round window|triangle w|half round", "", "", ""),
    (r"swimming pool|staircase|escalator|rail crossing|rails|sidewalk", "", "", ""),
    (r"column|chimney|diving board|mezzanine|shutter", "", "", ""),
    (r"shower (door|curtain|head)|contemporary living|jacuzzi|chandelier|work lamp", "", "", ""),
    (r"antenna|holding .*|lying down|spotlight|hanging clothes|clothes hanger", "", "", ""),
    (r"coathanger|porch light|entry |letters box|garden faucet|external unit", "", "", ""),
    (r"basketball net|parking slot|arrow |pedestrian crossing|street light|venetian", "", "", ""),
    (r"window blind|towel rack|emergency|outdoor lamp|locked locker|number lock", "", "", ""),
    (r"track lights|park light|barnum|tent$|wall hanger|kitchen tools", "", "", ""),
    (r"utensils|hammock|trampoline|knife stand|children game|child hut", "", "", ""),
    ("^(dress|trousers|suit|jacket)$", "", "", ""),
    ("socket@bedroom", "", "sock", "bedroom small"),
    ("plug$|switch$|socket$|dimmer", "", "socket", "wall small"),
    ("garage door", "door", "garage door", "garage"),
    ("window", "window", "window", "window"),
    (r"\bdoors?$|^double door", "door", "door", "door"),
    ("sitting (male|female|girl|boy)@sit", "", "", ""),
    ("^mannequin$", "", "mannequin", "floor"),  # a tailor's; the others look like people
    ("female|girl|male|boy", "person", "person", "person"),
    ("dog house", "", "dog house", "yard"),
    ("hot dog", "", "hot dog", "food"),
    ("dog|bulldog", "", "dog", "pet"),
    (r"\bcat$", "", "cat", "pet"),
    ("^(chicken|rabbit)$", "", "", "pet yard"),
    ("rocking horse", "", "", "toy floor"),
    ("^horse", "", "", "animal"),
    ("rattan sofa", "sofa", "sofa", "yard seat"),
    ("sofa|couch", "sofa", "sofa", "sofa"),
    ("ottoman", "sofa", "armchair", "armchair"),
    ("rattan armchair", "sofa", "armchair", "yard seat"),
    (r"armchair@office", "chair", "armchair", "chair"),
    ("armchair", "sofa", "armchair", "armchair"),
    ("(beach|deck|relax|cafe|folding|plastic|teck) chair", "chair", "chair", "yard seat"),
    ("high chair|child(ren)? chair", "chair", "chair", "child seat"),
    ("wheelchair", "chair", "wheelchair", "floor"),
    ("bar (stool|chair)", "chair", "bar stool", "bar stool"),
    ("^stool@tall", "chair", "bar stool", "bar stool"),
    ("^stool|piano bench", "chair", "stool", "stool"),
    ("chair|class seat", "chair", "chair", "chair"),
    ("pool lounge", "", "lounger", "yard"),
    ("abdominal bench|indoor bike|treadmill|fitness tower", "", "", "gym"),
    ("workbench", "table", "workbench", "workshop"),
    ("bench|little bank|wood bank", "", "bench", "bench"),
    (r"\bpuff\b", "", "pouf", "floor"),
    ("table tennis bat", "", "bat", "toy"),
    ("table tennis", "table", "table tennis table", "play"),
    ("pool table|football table", "table", "", "play"),
    ("flipper", "", "pinball machine", "play"),
    ("table fan|rigged fan", "", "fan", "small"),
    ("changing table", "table", "changing table", "bedroom wall"),
    ("dressing table", "table", "dressing table", "bedroom wall"),
    ("bedside table", "table", "bedside table", "bedside"),
    ("coffee table", "table", "coffee table", "coffee table"),
    ("rattan table|cafe table", "table", "table", "yard table"),
    ("children table", "table", "table", "child table"),
    ("technical table", "table", "table", "desk"),
    ("^bar table", "table", "table", "bar table"),
    ("desk lamp", "", "lamp", "table lamp"),
    ("desk", "table", "desk", "desk"),
    ("tablet", "", "tablet", "office small"),
    (r"\btable", "table", "table", "table"),
    ("^island( ext|$)", "", "kitchen island", "island"),
    ("bookcase|shelves$", "shelf", "shelf", "bookcase"),
    ("upper.*cabinet|shelves cabinet", "shelf", "cabinet", "kitchen upper"),
    ("washbasin with cabinet", "", "washbasin", "washbasin"),
    ("^sink", "", "sink", "kitchen unit"),
    ("glass door cabinet@kitchen", "shelf", "cabinet", "kitchen upper"),
    ("glass door cabinet|television cabinet", "shelf", "cabinet", "bookcase"),
    ("(kitchen|lower|drawers|corner|high).*cabinet", "shelf", "cabinet", "kitchen unit"),
    ("filing cabinet", "shelf", "filing cabinet", "office wall"),
    ("^safe$", "", "safe", "office wall"),
    ("wardrobe|cupboard", "shelf", "wardrobe", "wardrobe"),
    ("^chest$", "shelf", "chest of drawers", "dresser"),
    ("dresser", "shelf", "chest of drawers", "dresser"),
    ("tv (stand|unit)", "shelf", "TV stand", "tv stand"),
    ("^box@scopia(office|living)", "shelf", "cabinet", "bookcase"),
    ("clothes rack", "", "clothes rack", "bedroom wall"),
    ("vanity", "shelf", "vanity", "washbasin"),
    ("white board", "", "whiteboard", "office wall"),
    ("cardboard box", "box", "cardboard box", "box"),
    ("bread box", "", "bread box", "kitchen small"),
    ("medicine box", "box", "box", "bath small"),
    ("(plant|flower) box", "plant", "plant", "yard"),
    ("^box|crate", "box", "box", "box"),
    ("^gift", "box", "gift", "box"),
    ("trunck", "box", "trunk", "box"),
    ("suitcase", "", "suitcase", "floor"),
    ("pallet", "pallet", "pallet", "pallet"),
    ("^barrel", "barrel", "barrel", "barrel"),
    ("basketball|soccer ball", "ball", "ball", "ball"),
    ("^cone$", "cone", "cone", "cone"),
    ("shipping container", "", "container", "yard big"),
    ("baby bed|crib", "", "crib", "crib"),
    ("air mattress|sleeping bag|futon|tatami", "", "mattress", "rug"),
    ("bunk bed|loft bed", "", "bunk bed", "bed"),
    (r"\bbed\b", "", "bed", "bed"),
    ("stroller", "", "stroller", "floor"),
    ("skateboard", "", "skateboard", "toy floor"),
    ("toy train|car model|biplane", "", "toy", "toy"),
    ("wheelbarrow|mower", "", "", "yard"),
    ("tricycle", "vehicle", "tricycle", "toy floor"),
    (r"bicycle|\bbike", "vehicle", "bicycle", "bicycle"),
    ("scooter", "vehicle", "scooter", "bicycle"),
    ("motorbike|yamaha", "vehicle", "motorcycle", "bicycle"),
    ("bus$", "vehicle", "bus", "truck"),
    ("truck", "vehicle", "truck", "truck"),
    ("fork lift", "vehicle", "forklift", "car"),
    ("^van$", "vehicle", "van", "car"),
    ("sedan|chevrolet|ford|peugeot|renault|suv|seat leon|smart car|beetle", "vehicle", "car", "car"),
    ("rowboat", "", "boat", "yard"),
    ("christmas tree", "plant", "Christmas tree", "plant"),
    (
        "acacia|coconut|pine|beech|ficus@exterior|maple|palm|blossom|poplar|cypress|bamboo@exterior",
        "plant",
        "tree",
        "tree",
    ),
    ("hedge", "plant", "hedge", "hedge"),
    (r"\bbush", "plant", "bush", "hedge"),
    ("plant|ficus|cactus|bonsai|orchid|tulips|flowers|lily|yucca|spathi|bamboo", "plant", "plant", "plant"),
    ("lamppost|street lamp", "", "street lamp", "street lamp"),
    ("(ceiling|pendant) lamp|hanging light|^lamp@e1|fluorescent", "", "ceiling lamp", "ceiling"),
    ("ceiling fan|smoke detector", "", "", "ceiling"),
    ("wall (light|lamp|uplight)", "", "wall lamp", "wall lamp"),
    ("floor uplight|^lamp@tall", "", "floor lamp", "floor lamp"),
    ("candle|ashtray|hashtray", "", "", "small"),
    ("flashlight", "", "flashlight", "small"),
    ("stone lantern", "", "stone lantern", "yard"),
    ("lantern|lamp", "", "lamp", "table lamp"),
    ("wall flat tv", "", "television", "wall tv"),
    ("tv remote", "", "remote control", "small"),
    (r"\btv\b", "", "television", "tv"),
    ("mp3", "", "MP3 player", "media"),
    ("video projector|dvd|playstation|stereo|radio$", "", "", "media"),
    ("^speaker", "", "speaker", "media"),
    ("laptop|ibook", "", "laptop", "laptop"),
    ("imac", "", "computer", "laptop"),
    ("^keyboard", "", "synthesizer", "media"),
    ("piano", "", "piano", "piano"),
    ("^screen$", "", "folding screen", "floor"),
    ("electric guitar", "", "guitar", ""),
    ("hood|boiler", "", "", "kitchen hood"),
    ("freezer|fridge|refrigerator", "", "fridge", "kitchen unit"),
    ("dishwasher", "", "dishwasher", "kitchen unit"),
    ("small oven|microwave|oven@low", "", "", "kitchen small"),
    ("cooker$|stove|double oven|^oven", "", "stove", "kitchen unit"),
    ("induction|cooktop|broom", "", "", ""),
    ("clothes washer|washing machine|dryer", "", "washing machine", "kitchen unit"),
    ("coffee (cup|mug)|^cup$|plastic cup", "cup", "cup", "cup"),
    ("^(cocktail |beer )?glass$", "cup", "drinking glass", "cup"),
    ("^bowl with", "cup", "bowl", "food"),
    ("^bowl", "cup", "bowl", "cup"),
    ("water cooler", "", "water cooler", "office wall"),
    ("trash ?can|dustbin|recycling", "", "trash can", "bin"),
    ("bottle@kitchen", "", "bottle", "kitchen small"),
    ("apples|cake|^bread|hamburger|fries|sushi|chicken|steak|butter|milk", "", "", "food"),
    ("plate", "", "plate", "plate"),
    ("bathtub|^(island |fitted )?bath$", "", "bathtub", "bathtub"),
    ("^shower", "", "shower", "shower"),
    ("bidet", "", "bidet", "toilet"),
    ("toilets? unit|urinal", "", "toilet", "toilet"),
    ("potty", "", "potty", "toy floor"),
    ("washbasin|lavatory", "", "washbasin", "washbasin"),
    ("toilet paper", "", "toilet paper", "wall small"),
    ("bathmat|doormat|rug|carpet", "", "rug", "rug"),
    ("clothes (basket|horse)|^basin", "", "", "bath floor"),
    ("toilet brush", "", "", ""),
    ("clock$|dart game", "", "", "wall small"),
    ("^frame$", "", "picture", "picture"),
    ("^frame", "", "picture frame", "small"),
    ("(electric|gaz) water heater|internal unit", "", "", "wall high"),
    ("intercom|cctv|surveillance", "", "", "wall small"),
    ("curtain", "", "curtain", "curtain"),
    ("radiator", "", "radiator", "radiator"),
    ("fireplace", "", "", "fireplace"),
    ("furnace", "", "", ""),
    ("vase", "", "vase", "small"),
    ("aquarium", "", "aquarium", "media"),
    ("doll house", "", "doll house", "toy floor"),
    ("doll|bear|rubik|wood toy|xylophone|puzzle|chessboard|card game|joystick|deer", "", "", "toy"),
    ("railing|^fence", "", "railing", "fence"),
    (
        "fountain|swing|seesaw|sandpit|snowman|umbrella@exterior|football goal|garden hut|fire"
        " hydrant|mailbox|^rock$|hose reel",
        "",
        "",
        "yard",
    ),
    ("shovel@kitchen", "", "dustpan", "bath floor"),
    ("shovel|propane", "", "", "yard small"),
    ("step ladder", "", "step ladder", "floor"),
    ("punching ball|extinguisher|shopping basket|wood logs", "", "", "floor"),
)


def name_of(entry: Entry) -> Naming:
    """The first rule that fits.

    Patterns may ask for more than the name by the marks that `_marked` puts behind it.
    """
    texts = _marked(entry)
    plain = " ".join(re.sub(r"[^a-z' ]", " ", re.sub(r"\(.*| - .*|\d.*", "", texts[0])).split()) or "thing"
    for pattern, class_name, noun, role in RULES:
        if any(re.search(pattern, text) for text in texts):
            noun = noun or plain
            return Naming(noun, class_name or noun, role)
    if max(entry.size_m) < 0.8:
        room = {"Kitchen": "kitchen ", "Office": "office ", "Bathroom": "bath ", "Bedroom": "bedroom "}
        return Naming(plain, plain, room.get(entry.category, "") + "small")
    return Naming(plain, plain, "yard" if entry.category == "Exterior" else "floor")


def _marked(entry: Entry) -> list[str]:
    """The lower-case name, plain and followed by a mark: its category, its maker, or what its size says."""
    name = entry.name.lower()
    height = entry.size_m[2]
    category = entry.category.lower().split(" ")[0]
    maker = entry.id.split("#")[0].lower()
    marks = [category, maker + category]
    if "itting" in name and height > 1.0:
        marks.append("sit")
    if height > (0.7 if "stool" in name else 1.0):
        marks.append("tall")
    if height < 0.5:
        marks.append("low")
    if entry.elevation_m > 1.0:
        marks.append("e1")
    return [name, *(f"{name}@{mark}" for mark in marks)]
