//! The law of the layer count, from nothing but a tick and the lengths of steps: of N identical steps the first is a layer,
//! and each that begins in another tick than the one before it.

/// Probabilities of 1, 2, … N layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Law(pub Vec<f64>);

/// How finely a tick is divided to find them.
const BINS: usize = 400;

impl Law {
    /// For `steps` steps, each as long as some number between `least` and `most`, all equally likely, none longer than the
    /// tick; the first begins anywhere in a tick.
    pub fn of(steps: usize, granularity: u64, (least, most): (u64, u64)) -> Self {
        let bin = |nanos: u64| (nanos as f64 / granularity as f64 * BINS as f64).round() as usize;
        let (least, most) = (bin(least), bin(most));
        let each = 1.0 / (most - least + 1) as f64;
        // Where in its ticks the last step begins: evenly in the first tick, moved on by each step.
        let mut places = vec![1.0 / BINS as f64; BINS];
        for _ in 1..steps {
            let mut next = vec![0.0; places.len() + most];
            for (place, probability) in places.iter().enumerate() {
                for span in least..=most {
                    next[place + span] += probability * each;
                }
            }
            places = next;
        }
        let mut law = vec![0.0; steps];
        for (place, probability) in places.iter().enumerate() {
            let layers = (place / BINS).min(steps - 1);
            law[layers] += probability;
        }
        Self(law)
    }

    /// The mean number of layers.
    pub fn mean(&self) -> f64 {
        self.0.iter().zip(1..).map(|(probability, layers)| probability * f64::from(layers)).sum()
    }
}

/// Whether `counts` of 1, 2, … layers are what `law` makes likely: none further from its mean than five of its deviations.
pub fn is_likely(counts: &[usize], law: &Law) -> bool {
    let trials: usize = counts.iter().sum();
    counts.iter().zip(&law.0).all(|(count, probability)| {
        let mean = probability * trials as f64;
        let deviation = (mean * (1.0 - probability)).sqrt();
        (*count as f64 - mean).abs() <= 5.0 * deviation + 1.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_law_and_its_mean_is_that_of_the_ticks() {
        let law = Law::of(8, 4_000_000, (500_000, 3_500_000));
        assert!((law.0.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // Seven steps of half a tick each.
        assert!((law.mean() - 4.5).abs() < 0.01, "{}", law.mean());
    }

    #[test]
    fn steps_of_no_length_are_one_layer_and_of_a_tick_always_another() {
        assert!((Law::of(5, 100, (0, 0)).0[0] - 1.0).abs() < 1e-9);
        assert!((Law::of(5, 100, (100, 100)).0[4] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_far_from_the_law_is_unlikely() {
        let law = Law(vec![0.5, 0.5]);
        assert!(is_likely(&[490, 510], &law));
        assert!(!is_likely(&[300, 700], &law));
    }
}
