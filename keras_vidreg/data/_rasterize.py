"""A small software renderer: triangles to grey images, the same bytes on every machine.

Floating point only places the vertices; they are then rounded to a fixed-point grid, and coverage,
depth and shade are integer arithmetic. Neither the graphics driver nor the processor's vector units
can therefore change a pixel, and no display or system library is needed.
"""

import functools
import hashlib
import importlib.util
import math
import pathlib

import numpy as np

SUPERSAMPLE = 2  # samples per pixel along each side, averaged to the pixel
SUBPIXEL = 16  # fixed-point steps per sample
CAMERA_DISTANCE = 4.0  # from the centre of the mesh, in radii of its bounding sphere
DEPTH_STEPS = 1 << 24
LIGHT = (0.48, 0.64, 0.6)  # unit vector towards the light: right, up, towards the camera
AMBIENT = 0.25


@functools.cache
def load_mesh():
    """PyVista's airplane: vertices (V, 3) in the unit sphere, triangles (F, 3), file SHA-256.

    The file (ASCII PLY) is read from the installed package without importing VTK. After scaling the
    centre of the bounding box is the origin; x is along the wings, y along the fuselage, z is up.
    """
    spec = importlib.util.find_spec("pyvista")
    if spec is None:
        raise ImportError(
            "rendering the airplanes data set needs the airplane mesh that PyVista ships; "
            'install it with: pip install "keras-vidreg[airplanes]"'
        )
    data = (pathlib.Path(spec.origin).parent / "examples" / "airplane.ply").read_bytes()
    lines = data.decode("ascii").splitlines()
    header = lines[: lines.index("end_header") + 1]
    counts = {words[1]: int(words[2]) for words in map(str.split, header) if words[0] == "element"}
    body = [line.split() for line in lines[len(header) :]]
    vertices = np.array(body[: counts["vertex"]], "float64")  # (V, 3)
    faces = np.array(body[counts["vertex"] :][: counts["face"]], "int64")  # (F, 4): 3, a, b, c
    vertices -= (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    vertices /= np.sqrt((vertices * vertices).sum(axis=1)).max()
    return vertices, faces[:, 1:], hashlib.sha256(data).hexdigest()


def quaternion_matrix(q):
    """Rotation matrix (3, 3) of a unit quaternion (w, x, y, z)."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def axis_rotation(axis, angle):
    """Rotation matrix (3, 3) by `angle` radians about coordinate axis 0, 1 or 2."""
    q = [math.cos(angle / 2), 0.0, 0.0, 0.0]
    q[1 + axis] = math.sin(angle / 2)
    return quaternion_matrix(q)


def _rotate(vectors, matrix):
    """`vectors @ matrix.T` without BLAS, whose order of summation differs between machines."""
    x, y, z = vectors[:, :1], vectors[:, 1:2], vectors[:, 2:]
    return x * matrix[:, 0] + y * matrix[:, 1] + z * matrix[:, 2]


def render(vertices, triangles, attitude, size):
    """Grey image (size, size) uint8 of the mesh turned by the matrix `attitude`, on black.

    A perspective camera on the z axis sees the whole unit sphere whatever the attitude. Facets are
    flat and lit from `LIGHT`, which like the camera stays where it is while the mesh turns.
    """
    points = _rotate(vertices, attitude)  # (V, 3)
    side = size * SUPERSAMPLE
    # The cone that touches the unit sphere fills the image: tan(half angle) = 1 / sqrt(d^2 - 1).
    scale = side / 2 * math.sqrt(CAMERA_DISTANCE**2 - 1)
    inverse_depth = 1 / (CAMERA_DISTANCE - points[:, 2])
    column = np.rint((side / 2 + scale * points[:, 0] * inverse_depth) * SUBPIXEL)
    row = np.rint((side / 2 - scale * points[:, 1] * inverse_depth) * SUBPIXEL)
    u, v = column.astype("int64")[triangles], row.astype("int64")[triangles]  # (F, 3)
    # Inverse depth is what is linear across the image of a plane.
    depth = np.rint(inverse_depth * DEPTH_STEPS).astype("int64")[triangles]  # (F, 3)
    shade = _shade(points[triangles])

    area = _edge(u[:, 0], v[:, 0], u[:, 1], v[:, 1], u[:, 2], v[:, 2])
    flipped = area < 0  # wind every triangle the same way
    for corners in (u, v, depth):
        corners[flipped] = corners[flipped, ::-1]
    area = np.abs(area)

    triangle, x, y = _candidates(u, v, area, side)
    px, py = x * SUBPIXEL + SUBPIXEL // 2, y * SUBPIXEL + SUBPIXEL // 2
    weights = []  # twice the areas of the three sub-triangles at a sample, in fixed point
    for a, b in ((1, 2), (2, 0), (0, 1)):
        ua, va = u[triangle, a], v[triangle, a]
        weights.append(_edge(ua, va, u[triangle, b], v[triangle, b], px, py))
    inside = (weights[0] | weights[1] | weights[2]) >= 0  # no sign bit set
    triangle = triangle[inside]
    nearness = sum(w[inside] * depth[triangle, k] for k, w in enumerate(weights)) // area[triangle]
    # One integer per sample, nearness above shade: its maximum is the z-buffer, ties included.
    buffer = np.zeros(side * side, "int64")
    np.maximum.at(buffer, y[inside] * side + x[inside], nearness * 256 + shade[triangle])
    samples = (buffer % 256).reshape(size, SUPERSAMPLE, size, SUPERSAMPLE)
    count = SUPERSAMPLE * SUPERSAMPLE
    return ((samples.sum(axis=(1, 3)) + count // 2) // count).astype("uint8")


def _shade(corners):
    """Grey value (F,) of flat facets with `corners` (F, 3, 3), lit on the side that is seen."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )
    view = np.array([0.0, 0.0, CAMERA_DISTANCE]) - corners[:, 0]
    length = np.sqrt((normal * normal).sum(axis=1))
    light = (normal * np.array(LIGHT)).sum(axis=1) * np.sign((normal * view).sum(axis=1))
    diffuse = np.maximum(light, 0) / np.where(length > 0, length, 1)
    return np.rint(255 * (AMBIENT + (1 - AMBIENT) * diffuse)).astype("int64")


def _edge(ua, va, ub, vb, uc, vc):
    """Twice the signed area of the triangle a, b, c."""
    return (ub - ua) * (vc - va) - (vb - va) * (uc - ua)


def _candidates(u, v, area, side):
    """Every sample (triangle, x, y) whose centre lies in the bounding box of a triangle."""
    # A sample's centre is at (k + 1/2) * SUBPIXEL: the first at or after the low end, and so on.
    half = SUBPIXEL // 2
    x0, y0 = (np.maximum(-((half - c.min(axis=1)) // SUBPIXEL), 0) for c in (u, v))
    x1, y1 = (np.minimum((c.max(axis=1) - half) // SUBPIXEL, side - 1) for c in (u, v))
    width, height = np.maximum(x1 - x0 + 1, 0), np.maximum(y1 - y0 + 1, 0)
    samples = np.where(area > 0, width * height, 0)
    triangle = np.repeat(np.arange(len(u)), samples)
    offset = np.arange(len(triangle)) - np.repeat(np.cumsum(samples) - samples, samples)
    row, column = np.divmod(offset, width[triangle])
    return triangle, x0[triangle] + column, y0[triangle] + row
