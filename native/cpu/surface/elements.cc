// The triangles of marching cubes have their corners in the middle of the cube's edges. The surface separates voxels of
// the mask from others; with more than four of the eight in the mask, it goes around those that are not. Voxels that
// share an edge of the cube are separated together, so a cube is made of a few shapes: a corner, an edge, three or four
// corners in a row, a face, a corner with its three neighbours. Their areas are those of Lorensen and Cline's
// triangles.
#include "cpu/surface/elements.h"

#include <cmath>
#include <initializer_list>

namespace warpdice::cpu {
namespace {

/// Corners of a cube that are connected by edges of it.
struct Shape {
  int corners = 0;
  int edges[3] = {0, 0, 0};  // between them, along each axis
  int center = -1;           // of four corners in a row, the axis of the middle edge
  bool star = false;         // a corner with its three neighbours
};

bool has(int code, int corner) { return code >> corner & 1; }

int neighbours(int code, int corner) {
  int count = 0;
  for (const int step : {1, 2, 4}) count += has(code, corner ^ step);
  return count;
}

/// Takes a shape out of the code.
Shape take_shape(int& code) {
  int shape_code = code & -code;  // one corner; grows by the neighbours of what is there
  for (int grown = 0; grown != shape_code;) {
    grown = shape_code;
    for (int corner = 0; corner < 8; corner++) {
      if (has(code, corner) && neighbours(grown, corner) > 0) shape_code |= 1 << corner;
    }
  }
  code &= ~shape_code;
  Shape shape;
  for (int corner = 0; corner < 8; corner++) {
    if (!has(shape_code, corner)) continue;
    shape.corners++;
    shape.star |= neighbours(shape_code, corner) == 3;
    for (int axis = 0; axis < 3; axis++) {  // bit 4 is axis 0
      const int other = corner | 4 >> axis;
      if (other == corner || !has(shape_code, other)) continue;
      shape.edges[axis]++;
      if (neighbours(shape_code, corner) == 2 && neighbours(shape_code, other) == 2) shape.center = axis;
    }
  }
  return shape;
}

/// faces: the area of a voxel's face, by the axis that is normal to it.
double area(const Shape& shape, const double* faces) {
  const double diagonal = std::sqrt(faces[0] * faces[0] + faces[1] * faces[1] + faces[2] * faces[2]);
  const auto tilted = [&](int a, int b) { return std::sqrt(faces[a] * faces[a] + faces[b] * faces[b]); };
  // The first axis with as many edges.
  const auto axis_with = [&](int edges) { return shape.edges[0] == edges ? 0 : shape.edges[1] == edges ? 1 : 2; };
  if (shape.corners == 1) return diagonal / 8;
  if (shape.corners == 2) {
    const int axis = axis_with(1);
    return tilted((axis + 1) % 3, (axis + 2) % 3) / 2;
  }
  if (shape.corners == 3) return faces[axis_with(0)] / 2 + diagonal * 3 / 8;
  if (shape.star) return diagonal * 3 / 4;
  if (shape.edges[axis_with(2)] == 2) return faces[axis_with(0)];
  const int c = shape.center;
  return diagonal / 2 + (tilted(c, (c + 1) % 3) + tilted(c, (c + 2) % 3)) / 4;
}

/// The shapes on one side: of corners in the mask or, when there are more, of those that are not.
int smaller_side(int code, int corners) {
  const int full = (1 << corners) - 1;
  return 2 * __builtin_popcount(static_cast<unsigned>(code)) > corners ? full ^ code : code;
}

/// The length of a contour between 2 x 2 pixels.
double length(int code, double along0, double along2) {
  const double corner = std::sqrt(along0 * along0 + along2 * along2) / 2;
  switch (smaller_side(code, 4)) {
    case 0:
      return 0;
    case 0b0011:
    case 0b1100:  // one row of the mask
      return along2;
    case 0b0101:
    case 0b1010:
      return along0;
    case 0b0110:
    case 0b1001:
      return 2 * corner;
    default:
      return corner;
  }
}

}  // namespace

void element_sizes(const Grid& grid, double* sizes) {
  const double* s = grid.spacing;
  const double faces[] = {s[1] * s[2], s[0] * s[2], s[0] * s[1]};
  for (int code = 0; code < (grid.flat ? 16 : 256); code++) {
    if (grid.flat) {
      sizes[code] = length(code, s[0], s[2]);
      continue;
    }
    double sum = 0;
    for (int rest = smaller_side(code, 8); rest != 0;) sum += area(take_shape(rest), faces);
    sizes[code] = sum;
  }
}

}  // namespace warpdice::cpu
