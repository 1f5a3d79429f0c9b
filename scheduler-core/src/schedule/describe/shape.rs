//! The pattern in a set of numbers, so that it can be said in few words.

/// What a set of values looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    All,
    /// At least three values that follow each other; the end may lie before the begin, round the field's end.
    Range(u32, u32),
    /// From the field's first values on, one in `step`, as far as the field goes.
    Steps {
        from: u32,
        step: u32,
    },
    List(Vec<u32>),
}

impl Shape {
    /// The shape of the bits `first..=last` of `bits`; values wrap round if `cyclic`.
    pub(super) fn of(bits: u64, first: u32, last: u32, cyclic: bool) -> Self {
        let values: Vec<u32> = (first..=last).filter(|&value| bits >> value & 1 == 1).collect();
        let size = (last - first + 1) as usize;
        if values.len() == size {
            return Self::All;
        }
        if values.len() < 3 {
            return Self::List(values);
        }
        let rotated = if cyclic { after_the_hole(&values, first, last) } else { values.clone() };
        if rotated.windows(2).all(|pair| follows(pair[0], first, last) == pair[1]) {
            return Self::Range(rotated[0], rotated[rotated.len() - 1]);
        }
        let (from, step) = (values[0], values[1] - values[0]);
        let even = values.windows(2).all(|pair| pair[1] - pair[0] == step);
        let whole = from - first < step && values[values.len() - 1] + step > last;
        if even && whole { Self::Steps { from, step } } else { Self::List(values) }
    }
}

/// The values, begun after the first that is missing before a present one.
fn after_the_hole(values: &[u32], first: u32, last: u32) -> Vec<u32> {
    let begin = (0..values.len())
        .find(|&i| {
            let before = values[(i + values.len() - 1) % values.len()];
            follows(before, first, last) != values[i]
        })
        .unwrap_or(0);
    values[begin..].iter().chain(&values[..begin]).copied().collect()
}

fn follows(value: u32, first: u32, last: u32) -> u32 {
    if value == last { first } else { value + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(values: &[u32]) -> u64 {
        values.iter().fold(0, |bits, value| bits | 1 << value)
    }

    #[test]
    fn sets_are_seen_as_ranges_steps_or_lists() {
        assert_eq!(Shape::of(0x7f, 0, 6, true), Shape::All);
        assert_eq!(Shape::of(bits(&[1, 2, 3, 4, 5]), 0, 6, true), Shape::Range(1, 5));
        assert_eq!(Shape::of(bits(&[5, 6, 0, 1]), 0, 6, true), Shape::Range(5, 1));
        assert_eq!(Shape::of(bits(&[22, 23, 0]), 0, 23, true), Shape::Range(22, 0));
        assert_eq!(Shape::of(bits(&[0, 15, 30, 45]), 0, 59, true), Shape::Steps { from: 0, step: 15 });
        assert_eq!(Shape::of(bits(&[7, 22, 37, 52]), 0, 59, true), Shape::Steps { from: 7, step: 15 });
        assert_eq!(Shape::of(bits(&[20, 40, 50]), 0, 59, true), Shape::List(vec![20, 40, 50]));
        assert_eq!(Shape::of(bits(&[10, 20, 30]), 0, 59, true), Shape::List(vec![10, 20, 30]));
        assert_eq!(Shape::of(bits(&[0, 59]), 0, 59, true), Shape::List(vec![0, 59]));
    }
}
