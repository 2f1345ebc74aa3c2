# SPDX-License-Identifier: Apache-2.0
"""Renders furnished worlds with OpenGL through EGL.

On a GPU without a display, thousands of images per second.

The ground truth (depth, normals, labels, instances) equals that of Embree except for pixels at edges: the
same triangles, smooth normals and holes in textures. Shading is simpler: shadow maps that are drawn once per
world, and no ambient occlusion. Needs `moderngl` and OpenGL 4.3; the software renderer of Mesa works for
tests.
"""

from functools import cache
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.furnished import shading
from vision_banana_ros.scenes.furnished.models import ALPHA, MATERIAL_COLUMNS
from vision_banana_ros.scenes.furnished.shading import Soup
from vision_banana_ros.scenes.solids import SKY

NEAR, FAR = 0.02, 600.0
SHADOW = 768
"""Edge of a shadow map's face in pixels; a lamp has six, a sun one of three times the edge."""
SUN_REACH = 22.0
"""Half the width in metres of what a sun's map covers around the origin."""
LIGHTS = 4
SAMPLES = 4

COMMON = f"""
#version 430
layout(std430, binding = 0) readonly buffer Materials {{ float material[]; }};
layout(std430, binding = 1) readonly buffer Texels {{ uint texels[]; }};
layout(std430, binding = 2) readonly buffer Textures {{ int textures[]; }};
const int COLUMNS = {MATERIAL_COLUMNS};
const vec4 POWER = vec4(2.2, 2.2, 2.2, 1.0);
float of(int m, int column) {{ return material[m * COLUMNS + column]; }}
vec4 texel(int i) {{ return pow(unpackUnorm4x8(texels[i]), POWER); }}
vec4 picture(int row, vec2 uv, int level) {{
    int first = textures[3 * row], wide = textures[3 * row + 1], high = textures[3 * row + 2];
    for (int k = 0; k < level && wide + high > 0; k++) {{
        first += 1 << (wide + high);
        wide = max(wide - 1, 0);
        high = max(high - 1, 0);
    }}
    vec2 at = uv * vec2(1 << wide, 1 << high) - 0.5;
    ivec2 low = ivec2(floor(at)), mask = ivec2((1 << wide) - 1, (1 << high) - 1);
    vec2 f = at - floor(at);
    ivec2 a = low & mask, b = (low + 1) & mask;
    return mix(mix(texel(first + (a.y << wide) + a.x), texel(first + (a.y << wide) + b.x), f.x),
               mix(texel(first + (b.y << wide) + a.x), texel(first + (b.y << wide) + b.x), f.x), f.y);
}}
bool hole(int m, vec2 uv) {{ return of(m, 8) > 0.5 && picture(int(of(m, 7)), uv, 0).a < 0.5; }}
"""

VERTEX = """
#version 430
in vec3 at; in vec3 smooth_normal; in vec3 face; in vec2 uv; in vec2 ids;
uniform mat4 project; uniform vec3 eye;
out vec3 place; out vec3 normal; flat out vec3 side; out vec2 coordinates; flat out ivec2 which;
void main() {
    place = at - eye; normal = smooth_normal; side = face; coordinates = uv; which = ivec2(ids);
    gl_Position = project * vec4(place, 1.0);
}
"""

INPUTS = """
in vec3 place; in vec3 normal; flat in vec3 side; in vec2 coordinates; flat in ivec2 which;
vec3 facing_normal() {
    vec3 n = normal;
    if (dot(side, place) > 0.0 != dot(n, side) < 0.0) n = -n;
    float away = dot(n, place);
    if (away > 0.0) n -= away / dot(place, place) * place;
    return normalize(n);
}
"""

TRUTH = """
uniform mat3 turn;
layout(location = 0) out vec4 measured; layout(location = 1) out int owner;
void main() {
    if (hole(which.x, coordinates)) discard;
    vec3 n = transpose(turn) * facing_normal();
    measured = vec4(n.x, -n.y, -n.z, (transpose(turn) * place).z);
    owner = which.y;
}
"""

AIR = """
uniform float air[27];
vec3 three(int k) { return vec3(air[k], air[k + 1], air[k + 2]); }
vec3 sky(vec3 d) {
    d = normalize(d);
    float z = max(d.z, 0.0), up = sqrt(z), glow = 0.35 * pow(max(0.0, dot(d, three(16))), 24.0);
    float a = d.x / (z + 0.18), b = d.y / (z + 0.18), s = 0.37 * air[26];
    float wave = sin(1.3 * a + 1.7 * sin(0.8 * b + s)) * sin(1.1 * b + 1.3 * sin(0.9 * a + 2.0 * s));
    wave += 0.5 * sin(2.9 * a + 2.1 * b + s) * sin(3.3 * b - 1.7 * a + 3.0 * s);
    float cloud = air[19] * clamp(0.5 + 0.6 * wave, 0.0, 1.0) * up;
    return (1.0 - cloud) * mix(three(13), three(10), up) + cloud * 1.1 + glow * vec3(1.0, 0.9, 0.7);
}
"""

SHADE = (
    AIR
    + f"""
uniform vec3 eye; uniform int count; uniform float lights[{8 * LIGHTS}]; uniform mat4 sun_project;
uniform sampler2DShadow maps[{LIGHTS}]; uniform bool glass;
const float NEAR = {NEAR}, FAR = {FAR};
"""
    + """
out vec4 light;
vec3 of_light(int k, int c) { return vec3(lights[8 * k + c], lights[8 * k + c + 1], lights[8 * k + c + 2]); }
float lookup(sampler2DShadow map, vec3 c, vec2 low, vec2 high) {
    float sum = 0.0;
    vec2 pixel = 1.0 / vec2(textureSize(map, 0));
    for (int y = -1; y <= 1; y++) for (int x = -1; x <= 1; x++)
        sum += texture(map, vec3(clamp(c.xy + 1.5 * vec2(x, y) * pixel, low, high), c.z));
    return sum / 9.0;
}
float reaches(int k, sampler2DShadow map, vec3 p, vec3 n) {
    p += n * 0.015;
    if (lights[8 * k] == 0.0) {
        vec4 c = sun_project * vec4(p, 1.0);
        if (any(greaterThan(abs(c.xyz), vec3(0.999)))) return 1.0;
        return lookup(map, 0.5 * c.xyz + 0.5 - vec3(0.0, 0.0, 0.0006), vec2(0.0), vec2(1.0));
    }
    vec3 d = p - of_light(k, 1), m = abs(d);
    int face; vec3 c;  // x, y on the face and the depth before it, as FACES below draws it
    if (m.x >= m.y && m.x >= m.z) { face = d.x > 0.0 ? 0 : 1; c = vec3(d.x > 0.0 ? -d.y : d.y, d.z, m.x); }
    else if (m.y >= m.z) { face = d.y > 0.0 ? 2 : 3; c = vec3(d.y > 0.0 ? d.x : -d.x, d.z, m.y); }
    else { face = d.z > 0.0 ? 4 : 5; c = vec3(d.x, d.z > 0.0 ? -d.y : d.y, m.z); }
    float z = c.z - 0.02 - 0.01 * c.z;
    float depth = 0.5 + 0.5 * ((FAR + NEAR) / (FAR - NEAR) - 2.0 * FAR * NEAR / (FAR - NEAR) / max(z, NEAR));
    vec2 corner = vec2(face % 3, face / 3), size = vec2(3.0, 2.0), edge = 1.0 / vec2(textureSize(map, 0));
    vec3 spot = vec3((corner + 0.5 + 0.5 * c.xy / c.z) / size, depth);
    return lookup(map, spot, corner / size + edge, (corner + 1.0) / size - edge);
}
void main() {
    int m = which.x;
    vec2 dx = dFdx(coordinates), dy = dFdy(coordinates);
    if (hole(m, coordinates)) discard;
    vec3 n = facing_normal(), d = normalize(place), color = vec3(of(m, 0), of(m, 1), of(m, 2));
    int row = int(of(m, 7));
    if (row >= 0) {
        vec2 size = vec2(1 << textures[3 * row + 1], 1 << textures[3 * row + 2]);
        float level = 0.5 * log2(max(abs(dx.x * dy.y - dx.y * dy.x) * size.x * size.y, 1e-9));
        color *= picture(row, coordinates, clamp(int(level + 0.5), 0, 16)).rgb;
    }
    vec3 up = three(0), down = three(3);
    if (glass) {
        float own = min(1.0, of(m, 1 + 2));
        float mirror = 0.04 + 0.6 * pow(1.0 - abs(dot(normalize(side), d)), 5.0);
        light = vec4(own * color * 1.6 * up + mirror * up, (1.0 - own) * (1.0 - mirror));
        return;
    }
    vec3 e = 0.85 * mix(down, up, 0.5 + 0.5 * n.z), p = place + eye;
    float shine = 0.0;
    for (int k = 0; k < count; k++) {
        vec3 l = of_light(k, 1), strength = of_light(k, 4);
        float power = 1.0;
        if (lights[8 * k] != 0.0) { l -= p; power = 1.0 / (dot(l, l) + 0.7); }
        l = normalize(l);
        float cosine = dot(n, l);
        if (cosine <= 0.0) continue;
        vec3 flat_side = dot(side, place) > 0.0 ? -normalize(side) : normalize(side);
        float seen = 0.0;
        if (dot(flat_side, l) > 0.0) {
            if (k == 0) seen = reaches(k, maps[0], p, flat_side);
            else if (k == 1) seen = reaches(k, maps[1], p, flat_side);
            else if (k == 2) seen = reaches(k, maps[2], p, flat_side);
            else seen = reaches(k, maps[3], p, flat_side);
        }
        power *= seen;
        e += power * cosine * strength;
        float half_way = max(0.0, dot(n, normalize(l - d)));
        if (of(m, 4) > 0.0)
            shine += power * of(m, 4) * pow(half_way, of(m, 5)) * dot(strength, vec3(1.0 / 3.0));
    }
    vec3 c = color * (e + 3.0 * of(m, 6)) + shine;
    float keep = exp(-air[9] * length(place));
    light = vec4(min(mix(three(6), c, keep), vec3(4.0)), 0.0);
}
"""
)

SKY_VERTEX = """
#version 430
uniform mat3 turn; uniform vec4 lens;
out vec3 d;
void main() {
    vec2 c = vec2(gl_VertexID % 2, gl_VertexID / 2) * 4.0 - 1.0;
    d = turn * vec3(c * lens.xy + lens.zw, 1.0);
    gl_Position = vec4(c, 0.9999999, 1.0);
}
"""
SKY_FRAGMENT = (
    "#version 430\n"
    + AIR
    + ("in vec3 d; out vec4 light; void main() { light = vec4(min(sky(d), vec3(4.0)), 0.0); }")
)
DARK = "void main() { if (hole(which.x, coordinates)) discard; }"
FACES = (  # right, up and forward of each face of a lamp's map
    ((0, -1, 0), (0, 0, 1), (1, 0, 0)), ((0, 1, 0), (0, 0, 1), (-1, 0, 0)), ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((-1, 0, 0), (0, 0, 1), (0, -1, 0)), ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
)  # fmt: skip


class Machine:
    """A context and its programs, one a process."""

    def __init__(self) -> None:
        try:
            import moderngl
        except ImportError as error:
            raise InputError(
                "Drawing furnished scenes on a GPU needs moderngl: run `pip install moderngl`."
            ) from error
        try:
            self.context = moderngl.create_context(standalone=True, backend="egl", require=430)
        except Exception as error:  # whatever the driver and its loader raise
            raise InputError(
                f"There is no OpenGL 4.3 by EGL on this machine ({error}): draw with device='cpu'."
            ) from error
        self.gl = moderngl
        fragment = COMMON + INPUTS
        self.truth = self.context.program(VERTEX, fragment + TRUTH)
        self.shade = self.context.program(VERTEX, fragment + SHADE)
        self.dark = self.context.program(VERTEX, fragment + DARK)
        self.sky = self.context.program(SKY_VERTEX, SKY_FRAGMENT)
        self.nothing = self.context.vertex_array(self.sky, [])
        self.targets = cache(self._targets)

    def _targets(self, width: int, height: int) -> tuple[Any, Any, Any]:
        """Frame buffers for the truth, for light with several samples a pixel, and for its average."""
        c, size = self.context, (width, height)
        truth = c.framebuffer(
            [c.texture(size, 4, dtype="f4"), c.texture(size, 1, dtype="i4")], c.depth_texture(size)
        )
        light = c.framebuffer(
            [c.renderbuffer(size, 4, samples=SAMPLES, dtype="f2")],
            c.depth_renderbuffer(size, samples=SAMPLES),
        )
        return truth, light, c.framebuffer([c.renderbuffer(size, 4, dtype="f2")])


@cache
def machine() -> Machine:
    """The OpenGL context and programs of this process, created on first use."""
    return Machine()


def projection(camera: Camera) -> np.ndarray:
    """From places relative to the eye, in the world's axes, to clip space.

    The picture's first row comes first.
    """
    w, h = camera.width, camera.height
    lens = np.zeros((4, 4))
    lens[0, 0], lens[0, 2] = 2 * camera.fx / w, (2 * camera.cx + 1) / w - 1
    lens[1, 1], lens[1, 2] = 2 * camera.fy / h, (2 * camera.cy + 1) / h - 1
    lens[2, 2], lens[2, 3] = (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    lens[3, 2] = 1.0
    pose = np.eye(4)
    pose[:3, :3] = camera.pose[:3, :3].T
    return np.asarray(lens @ pose)


def matrix(of: np.ndarray) -> bytes:
    """A matrix as OpenGL reads it: float32, column by column."""
    return bytes(np.ascontiguousarray(of.T, np.float32))


def numbers(program: Any, name: str, values: np.ndarray) -> None:
    """Writes an array of floats, as far as the compiler found that the program reads it."""
    data = np.zeros(program[name].array_length, np.float32)
    data[:] = values.ravel()[: len(data)]
    program[name].write(data.tobytes())


class GlCaster:
    """One world on the graphics card."""

    def __init__(self, soup: Soup, lights: np.ndarray, air: np.ndarray):
        self.m = machine()
        self.soup, self.air = soup, air
        self.lights = lights[:LIGHTS]
        self.glass = int((soup.materials[soup.material, ALPHA] >= 0.97).sum())  # glass comes last
        c = self.m.context
        corners = soup.corners.astype(np.float32)
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        face /= np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-20)
        flats = (soup.shade == 0).all(2, keepdims=True)
        spread = np.broadcast_to(face[:, None], corners.shape)
        ids = np.broadcast_to(np.stack([soup.material, soup.owner], 1)[:, None], (*corners.shape[:2], 2))
        rows = np.concatenate(
            [corners, np.where(flats, spread, soup.shade), spread, soup.uv, ids], 2, dtype=np.float32
        )
        vertices = c.buffer(np.ascontiguousarray(rows))
        self.buffers = [
            c.buffer(data) if data.size else c.buffer(reserve=16)
            for data in (soup.materials, np.ascontiguousarray(soup.texels), soup.textures)
        ]
        layout = [(vertices, "3f 3f 3f 2f 2f", "at", "smooth_normal", "face", "uv", "ids")]
        self.truth, self.shade, self.dark = (
            c.vertex_array(program, layout, skip_errors=True)
            for program in (self.m.truth, self.m.shade, self.m.dark)
        )
        self.owned = [vertices, *self.buffers, self.truth, self.shade, self.dark]
        self.maps = self._shadows()

    def __del__(self) -> None:
        for thing in getattr(self, "owned", []):
            thing.release()

    def _bind(self) -> None:
        for k, buffer in enumerate(self.buffers):
            buffer.bind_to_storage_buffer(k)

    def _shadows(self) -> list[Any]:
        """A depth map for each light; drawn once, for the world does not move."""
        c = self.m.context
        self._bind()
        c.enable_only(self.m.gl.DEPTH_TEST)
        maps = []
        for row in self.lights:
            sun = row[0] == shading.SUN
            size = (3 * SHADOW, 3 * SHADOW) if sun else (3 * SHADOW, 2 * SHADOW)
            texture = c.depth_texture(size)
            texture.compare_func = "<="
            frame = c.framebuffer(depth_attachment=texture)
            frame.use()
            frame.clear(depth=1.0)
            if sun:
                self.m.dark["eye"].value = (0.0, 0.0, 0.0)
                self.m.dark["project"].write(matrix(self.sun(row)))
                self.dark.render(vertices=3 * self.glass)
            else:
                self.m.dark["eye"].value = tuple(row[1:4])
                for k, axes in enumerate(FACES):
                    camera = Camera(
                        SHADOW, SHADOW, SHADOW / 2, SHADOW / 2, (SHADOW - 1) / 2, (SHADOW - 1) / 2, np.eye(4)
                    )
                    camera.pose[:3, :3] = np.array(axes, float).T
                    frame.viewport = (k % 3 * SHADOW, k // 3 * SHADOW, SHADOW, SHADOW)
                    self.m.dark["project"].write(matrix(projection(camera)))
                    self.dark.render(vertices=3 * self.glass)
            frame.release()
            maps.append(texture)
        self.owned += maps
        return maps

    def sun(self, row: np.ndarray) -> np.ndarray:
        """From the world to a sun's map."""
        forward = -row[1:4] / np.linalg.norm(row[1:4])
        right = np.cross(forward, (0.0, 0.0, 1.0) if abs(forward[2]) < 0.95 else (1.0, 0.0, 0.0))
        right /= np.linalg.norm(right)
        out = np.eye(4)
        out[0, :3], out[1, :3], out[2, :3] = (
            right / SUN_REACH, np.cross(right, forward) / SUN_REACH, forward / (3 * SUN_REACH),
        )  # fmt: skip
        return out

    def cast(self, camera: Camera) -> tuple[np.ndarray, ...]:
        """Linear light, depth, normals, labels and instances of all pixels, as `views.View` has them."""
        c, m, size = self.m.context, self.m, (camera.height, camera.width)
        truth, light, average = m.targets(camera.width, camera.height)
        project, turn = matrix(projection(camera)), matrix(camera.pose[:3, :3])
        eye = tuple(camera.pose[:3, 3])
        self._bind()
        c.enable_only(m.gl.DEPTH_TEST)
        truth.use()
        truth.clear(depth=1.0)
        m.truth["project"].write(project)
        m.truth["turn"].write(turn)
        m.truth["eye"].value = eye
        self.truth.render()
        light.use()
        light.clear(depth=1.0)
        m.shade["project"].write(project)
        m.shade["eye"].value = eye
        numbers(m.shade, "air", self.air)
        m.shade["count"].value = len(self.lights)
        rows = np.zeros((LIGHTS, 8), np.float32)
        rows[: len(self.lights)] = self.lights
        numbers(m.shade, "lights", rows)
        for k, texture in enumerate(self.maps):
            texture.use(k)
            if self.lights[k, 0] == shading.SUN:
                m.shade["sun_project"].write(matrix(self.sun(self.lights[k])))
        m.shade["maps"].value = tuple(min(k, max(0, len(self.maps) - 1)) for k in range(LIGHTS))
        m.shade["glass"].value = False
        self.shade.render(vertices=3 * self.glass)
        c.depth_func = "<="
        m.sky["turn"].write(turn)
        numbers(m.sky, "air", self.air)
        w, h = camera.width, camera.height
        middle = (0.5 * w - camera.cx - 0.5) / camera.fx, (0.5 * h - camera.cy - 0.5) / camera.fy
        m.sky["lens"].value = (0.5 * w / camera.fx, 0.5 * h / camera.fy, *middle)
        m.nothing.render(m.gl.TRIANGLES, vertices=3)
        c.depth_func = "<"
        c.enable(m.gl.BLEND)
        c.blend_func = m.gl.ONE, m.gl.SRC_ALPHA
        light.depth_mask = False
        m.shade["glass"].value = True
        if self.glass < len(self.soup.corners):
            self.shade.render(vertices=3 * (len(self.soup.corners) - self.glass), first=3 * self.glass)
        light.depth_mask = True
        c.disable(m.gl.BLEND)
        c.copy_framebuffer(average, light)
        rgb = np.frombuffer(average.read(components=3, dtype="f4"), np.float32).reshape(*size, 3).copy()
        measured = np.frombuffer(truth.read(components=4, dtype="f4"), np.float32).reshape(*size, 4)
        owner = np.frombuffer(truth.read(components=1, attachment=1, dtype="i4"), np.int32).reshape(size)
        depth_m, normals = measured[..., 3].copy(), measured[..., :3].copy()
        none = depth_m == 0.0
        depth_m[none], normals[none] = np.inf, np.nan
        labels = np.where(none, SKY, self.soup.label[owner]).astype(np.uint8)
        return rgb, depth_m, normals, labels, np.where(none, 0, self.soup.instance[owner]).astype(np.uint16)
