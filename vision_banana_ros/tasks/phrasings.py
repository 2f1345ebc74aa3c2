# SPDX-License-Identifier: Apache-2.0
"""Prompt templates: the first one of each list is the default, training draws from all of them."""

import json
from collections.abc import Sequence

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.colors import Legend, write_color

DEPTH = (
    "Estimate metric depth: paint each pixel's distance along the camera axis with the {colormap}.",
    "Generate a metric depth map of this image. Colour it with the {colormap}.",
    "How far away is everything? Answer as a picture in the {colormap}.",
    "Paint depth in metres using the {colormap}.",
    "Show the distance of every surface from the camera plane, colour-coded by the {colormap}.",
    "Turn this photo into a depth image. Use the {colormap}.",
    "Depth estimation, absolute scale, {colormap}.",
    "Replace each pixel by the colour of its depth, following the {colormap}.",
    "Using the {colormap}, visualise how many metres each point lies in front of the camera.",
    "Give me the metric depth. The code is the {colormap}.",
    "Predict a dense depth map in metres and render it with the {colormap}.",
    "Recolour the scene by its distance from the viewer: {colormap}.",
    "What would a depth sensor see here? Draw it in the {colormap}.",
    "With the {colormap} as the scale, paint the Z distance of every pixel.",
    "Metric depth map please, encoded in the {colormap}.",
    "For each pixel work out the depth in metres, then colour it by the {colormap}.",
    "Produce a range image of this view in the {colormap}.",
    "Convert the image to true-scale depth. The colours follow the {colormap}.",
    "Render the geometry of the scene as metric distance, in the {colormap}.",
    "The {colormap} maps metres to colours; apply it to the depth of this image.",
    "Encode how near or far things are, in metres, with the {colormap}.",
    "Draw the depth of the scene. Colours: {colormap}.",
)

NORMALS = (
    "Estimate surface normals: paint each pixel's direction, red for left, green for up, blue to the viewer.",
    "Generate a surface normal map: red means facing left, green facing up, blue facing the camera.",
    "Which way does each surface face? Answer in colours: red left, green up, blue towards the camera.",
    "Paint the surface normals in camera space; R is left, G is up, B is out of the image.",
    "Turn this photo into a normal map with R for left, G for up and B for towards the viewer.",
    "Normal estimation, camera frame: red left, green up, blue front.",
    "Replace each pixel by the colour of its surface direction (R left, G up, B to the camera).",
    "Show how surfaces are oriented: pinkish red faces left, light green up, light blue the camera.",
    "Predict dense surface normals and render them as RGB, red left, green up, blue outwards.",
    "Give me the normals of the scene. Left is red, up is green, towards us is blue.",
    "Recolour the scene by surface orientation, with red for left, green for up, blue for facing the viewer.",
    "For each pixel work out the unit normal: left in red, up in green, out of the picture in blue.",
    "Visualise the surface normals: light green floors, light blue fronts, pinkish red for what faces left.",
    "What does the normal map of this view look like? R encodes left, G up, B the direction to the camera.",
    "Convert the image to camera-space normals; channels are left, up and towards the viewer.",
    "Draw the direction each surface points in. Red: left. Green: up. Blue: to the camera.",
    "Render the geometry as normals, left-up-viewer in the channels R-G-B.",
    "Paint everything by the way it faces, red leftwards, green upwards, blue towards the camera.",
    "Encode the surface normal of every point in RGB: minus x, y, and z towards the viewer.",
    "Produce a normal map, with left, up and camera-facing surfaces in red, green and blue tones.",
    "Surface normals please: red goes left, green goes up and blue comes out of the image.",
    "Map each surface's direction to a colour, left to red, up to green and towards the viewer to blue.",
)

SEMANTIC = (
    "Segment the image by class and paint each pixel in the colour of its class: {legend}.",
    "Generate a semantic segmentation map. The colours are: {legend}.",
    "What is what? Paint every class in its colour: {legend}.",
    "Semantic segmentation with this legend: {legend}.",
    "Paint {prose}.",
    "Label every pixel of the photo. Legend: {legend}.",
    "Colour the picture by category, using {prose}.",
    "Assign each pixel to one of the classes and fill it with the class colour. {json}",
    "Segment this image. The mapping from class to colour, as JSON: {json}",
    "Turn this photo into a class map in flat colours: {legend}.",
    "Replace every pixel by the colour of what it belongs to, with {prose}.",
    "Using the palette {json}, draw the semantic segmentation of this view.",
    "Give me a segmentation mask in which {prose}.",
    "Find these classes and paint them: {legend}.",
    "Parse the scene. Here is the colour key: {legend}.",
    "Fill each region with a single colour that says what it is: {legend}.",
    "Show where each class is, in these colours: {legend}.",
    "Draw a map of the categories in the image. Class colours: {json}",
    "Recolour the image so that it shows {prose}.",
    "Produce a dense labelling with the following colours: {legend}.",
    "Per-pixel classification, painted: {legend}.",
    "Convert the scene into its semantic classes. Use exactly these colours: {legend}.",
)

INSTANCES = (
    "Segment every instance of {name}: paint each in one colour of its own, on a {background} background.",
    "Paint each {name} in a different flat colour and everything else {background}.",
    "Instance segmentation of {name}, background {background}.",
    "Separate the instances of {name}. Use one distinct colour for each; the rest is {background}.",
    "Find all instances of {name} and fill each with its own solid colour. Background colour: {background}.",
    "How many {name} are there? Answer with a mask that gives each its own colour, over {background}.",
    "On a {background} background, draw each {name} as a blob of a unique colour.",
    "Give every single {name} a colour that no other has, and make all other pixels {background}.",
    "Colour the picture {background}, except for each {name}, which gets a colour of its own.",
    "Show one mask for each {name}, told apart by colour, with {background} where there is none.",
    "Mark all {name} individually: a new colour for each one, {background} for everything else.",
    "Generate an instance map for the class {name} with the background in {background}.",
    "Everything {background}, but each {name} in its own uniform colour.",
    "Tell the {name} apart: no two of them may share a colour. What remains is {background}.",
    "Cut out each {name} separately, as regions of different colours on {background}.",
    "Label each object of the kind {name} with a unique colour; use {background} as the background.",
    "Detect and segment {name}. Different objects, different colours. Background: {background}.",
    "Turn this photo into instance masks of {name}, one flat colour per object, {background} elsewhere.",
    "For each {name} in view pick a colour and paint it whole; paint the rest {background}.",
    "Which pixels belong to which {name}? Answer in colours, with {background} for no {name} at all.",
    "Produce masks of every {name}, each distinct in colour, in front of {background}.",
    "Keep only the instances of {name}, each in another flat colour, and fill the rest with {background}.",
)

REFERRING = (
    "Segment {expression}: paint it {color} and everything else {background}.",
    "Paint {expression} in {color}. The rest is {background}.",
    "Where is {expression}? Mark it in {color} on a {background} background.",
    "Find {expression} and colour it {color}; all other pixels are {background}.",
    "Make a mask of {expression} in {color} over {background}.",
    "Highlight {expression} with the colour {color}, and make what remains {background}.",
    "Show only {expression}, as a flat {color} shape on {background}.",
    "On {background}, draw the silhouette of {expression} in {color}.",
    "Everything {background} except {expression}, which is {color}.",
    "Referring segmentation of {expression}, mask {color}, background {background}.",
    "Point out {expression}: fill it with {color}, and the surroundings with {background}.",
    "Use {color} for {expression} and {background} for anything that is not meant.",
    "Pick out {expression} from the scene. Target colour {color}, background colour {background}.",
    "Cut out {expression} and paint the cut-out {color} on {background}.",
    "Which pixels belong to {expression}? Paint those {color} and the others {background}.",
    "Cover {expression} completely in {color}. Turn the remaining picture {background}.",
    "I am looking for {expression}. Show it to me in {color}, with {background} all around.",
    "Generate a binary mask for {expression}: {color} inside, {background} outside.",
    "Locate {expression}; its pixels become {color}, no others do, they become {background}.",
    "Turn this photo into a {background} picture in which only {expression} is visible, in {color}.",
    "In {color}, please: {expression}. In {background}: the rest of the image.",
    "Separate {expression} ({color}) from everything around it ({background}).",
)

REFERRING_MANY = (
    "Segment each of these in its colour and paint everything else {background}. {pairs}.",
    "Paint {pairs}. The rest is {background}.",
    "Find all of these and colour them: {pairs}; all other pixels are {background}.",
    "Make one picture of several masks over {background}. {pairs}.",
    "Several things to find, each in its own colour. {pairs}. What is none of them is {background}.",
    "On a {background} background, mark: {pairs}.",
    "Where are they? {pairs}. Everything else {background}.",
    "Referring segmentation of several expressions. {pairs}. Background {background}.",
)


def phrase(templates: Sequence[str], number: int, **parts: str) -> str:
    """Template `number`, filled with `parts`."""
    if not 0 <= number < len(templates):
        raise InputError(f"There is no phrasing {number}; choose one from 0 to {len(templates) - 1}.")
    return templates[number].format(**parts)


def one_line(text: str, otherwise: str) -> str:
    """`text` with single spaces between its words; raises `InputError(otherwise)` if it has none."""
    words = " ".join(text.split())
    if not words:
        raise InputError(otherwise)
    return words


def write_legend(legend: Legend, style: str) -> dict[str, str]:
    """A legend as pairs ("floor: #808080, ..."), in prose ("floor in #808080, ..."), and as JSON."""
    written = {name: write_color(color, style) for name, color in legend.items()}
    return {
        "legend": ", ".join(f"{name}: {color}" for name, color in written.items()),
        "prose": ", ".join(f"{name} in {color}" for name, color in written.items()),
        "json": json.dumps(written, ensure_ascii=False),
    }
