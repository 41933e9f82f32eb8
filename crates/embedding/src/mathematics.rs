//! Products of matrices, and the functions between them. Loops are written so that the compiler makes vector
//! instructions of them, for each kind of processor: no branches, no calls, and no sum that waits for the one before.

use gemm_common::Parallelism;
use pulp::{Arch, NullaryFnOnce};

/// The number of sums that are made beside each other.
const LANES: usize = 16;

/// A matrix within a slice: its size, and the distances from a row and from a column to the next.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub to_row: usize,
    pub to_column: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix that lies in memory row by row, with `to_row` numbers from one to the next.
    pub fn by_rows(data: &'a [f32], rows: usize, columns: usize, to_row: usize) -> Self {
        Self {
            data,
            rows,
            columns,
            to_row,
            to_column: 1,
        }
    }

    /// The matrix with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            to_row: self.to_column,
            to_column: self.to_row,
            ..self
        }
    }

    fn is_within(&self) -> bool {
        reach(self.rows, self.columns, self.to_row, self.to_column) <= self.data.len()
    }
}

/// The numbers from the first to the last of a matrix.
fn reach(rows: usize, columns: usize, to_row: usize, to_column: usize) -> usize {
    match (rows, columns) {
        (0, _) | (_, 0) => 0,
        _ => (rows - 1) * to_row + (columns - 1) * to_column + 1,
    }
}

/// Writes the product of two matrices into `into`, whose rows are `to_row` numbers apart; with `add`, adds it to what
/// is there.
///
/// # Panics
/// The sizes do not fit.
pub fn multiply(into: &mut [f32], to_row: usize, add: bool, left: Matrix<'_>, right: Matrix<'_>) {
    let (rows, columns) = (left.rows, right.columns);
    assert_eq!(left.columns, right.rows, "the sizes of the factors");
    assert!(left.is_within() && right.is_within(), "a factor's size");
    assert!(
        reach(rows, columns, to_row, 1) <= into.len() && to_row >= columns,
        "the product's size"
    );
    let step = |distance: usize| isize::try_from(distance).expect("matrices are small");
    // SAFETY: the three matrices lie within their slices, as was just checked; the product overlaps no factor, since it
    // is borrowed mutably, and its own rows don't overlap.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            rows,
            columns,
            left.columns,
            into.as_mut_ptr(),
            1,
            step(to_row),
            add,
            left.data.as_ptr(),
            step(left.to_column),
            step(left.to_row),
            right.data.as_ptr(),
            step(right.to_column),
            step(right.to_row),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Powers of e, with a relative error below 3e-7, by the polynomial of Cephes.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, of which the first has few digits.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Added to a small number, it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let polynomial =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
            + 1.666_666_6e-1)
            * r
            + 0.5;
    let power = rounded
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    (polynomial * r * r + r + 1.0) * f32::from_bits(power)
}

/// The error function, with an absolute error below 3e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn error_function(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let polynomial = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_74) * t
        + 0.254_829_6)
        * t;
    (1.0 - polynomial * exponential(-size * size)).copysign(x)
}

/// The sum of what a function makes of numbers.
#[inline(always)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += of(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += of(*x);
    }
    lanes.iter().sum()
}

/// The highest of numbers.
#[inline(always)]
fn highest(numbers: &[f32]) -> f32 {
    let higher = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::MIN; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = higher(*lane, *x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = higher(*lane, *x);
    }
    lanes.into_iter().fold(f32::MIN, higher)
}

struct Gelu<'a>(&'a mut [f32]);

impl NullaryFnOnce for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.0 {
            let x = *value;
            *value = 0.5 * x * (1.0 + error_function(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The activation of the model, in its exact form.
pub fn gelu(values: &mut [f32]) {
    Arch::new().dispatch(Gelu(values));
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    length: usize,
}

impl NullaryFnOnce for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for row in self.scores.chunks_exact_mut(self.length) {
            let highest = highest(row);
            for value in row.iter_mut() {
                *value = exponential(*value - highest);
            }
            let factor = 1.0 / sum(row, |x| x);
            for value in row {
                *value *= factor;
            }
        }
    }
}

/// Makes weights of rows of scores, which have this length: positive, and 1 together.
pub fn softmax(scores: &mut [f32], length: usize) {
    Arch::new().dispatch(Softmax { scores, length });
}

struct Level<'a> {
    rows: &'a mut [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl NullaryFnOnce for Level<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const LEAST: f32 = 1e-12;
        let count = self.weight.len() as f32;
        for row in self.rows.chunks_exact_mut(self.weight.len()) {
            let mean = sum(row, |x| x) / count;
            let spread = sum(row, |x| (x - mean) * (x - mean)) / count;
            let factor = 1.0 / (spread + LEAST).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(self.weight).zip(self.bias) {
                *x = (*x - mean) * factor * weight + bias;
            }
        }
    }
}

/// Brings the numbers of each row to a common mean and spread, and scales and shifts them.
pub fn level(rows: &mut [f32], weight: &[f32], bias: &[f32]) {
    Arch::new().dispatch(Level { rows, weight, bias });
}

/// Makes a vector's length 1.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let factor = 1.0 / length.max(1e-12);
    for value in vector {
        *value *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_exact_ones() {
        for n in -8_700..=8_800_i16 {
            let x = f32::from(n) / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "{x}: {error}");
        }
        for (x, exact) in [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (-0.5, -0.520_499_9),
            (1.0, 0.842_700_8),
            (-2.0, -0.995_322_3),
            (6.0, 1.0),
        ] {
            assert!((error_function(x) - exact).abs() < 5e-7, "{x}");
        }
        let mut row = [1000.0, 1001.0, -1000.0];
        softmax(&mut row, 3);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[1] > row[0] && row[2] >= 0.0);
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let numbers: Vec<f32> = (0_u8..60).map(|n| f32::from(n) - 20.0).collect();
        for (m, n, k) in [(1, 1, 1), (2, 3, 4), (5, 4, 3), (7, 5, 2)] {
            let left = Matrix::by_rows(&numbers, m, k, k + 1);
            let right = Matrix::by_rows(&numbers[3..], n, k, k).transposed();
            let mut product = vec![1.0; m * (n + 2)];
            multiply(&mut product, n + 2, true, left, right);
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let exact: f32 = (0..k)
                    .map(|at| numbers[row * (k + 1) + at] * numbers[3 + column * k + at])
                    .sum();
                assert_eq!(product[row * (n + 2) + column], exact + 1.0);
            }
            assert_eq!(product[n], 1.0, "between the rows nothing changes");
        }
    }
}
