//! Folds: two values of a key become one. Declaring a sum as a fold, instead of writing a loop,
//! lets the SDK add up early, while the words are still in the cache.

use std::fmt;
use std::marker::PhantomData;

use crate::combining::Combined;
use crate::datatype::{DataType, Owned};
use crate::emitter::Emitter;
use crate::error::Result;
use crate::role::{Combiner, Reducer};
use crate::task::Task;
use crate::values::Values;

/// Makes one value out of two. Must be associative and commutative: values meet in any order and
/// any grouping, and the answer must be the same.
///
/// That is why there is no sum of `f64`: rounding makes it depend on the order. Add up floats in
/// a [`Reducer`], which sees them in one order, always the same.
pub trait Fold<V>: 'static {
    /// Folds two values.
    fn fold(a: V, b: V) -> V;
}

/// The sum: of `u64`, where passing the largest number is a panic, and of `i64`, which wraps
/// around, so that the total is right whenever it fits.
#[derive(Debug)]
pub struct Sum;

/// The smallest value.
#[derive(Debug)]
pub struct Min;

/// The largest value.
#[derive(Debug)]
pub struct Max;

impl Fold<u64> for Sum {
    #[inline]
    fn fold(a: u64, b: u64) -> u64 {
        let (sum, over) = a.overflowing_add(b);
        assert!(!over, "a sum is larger than u64 can hold");
        sum
    }
}

impl Fold<i64> for Sum {
    #[inline]
    fn fold(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
}

macro_rules! extremes {
    ($($value:ty, $less:expr;)*) => {$(
        impl Fold<$value> for Min {
            #[inline]
            fn fold(a: $value, b: $value) -> $value {
                let less: fn(&$value, &$value) -> bool = $less;
                if less(&b, &a) { b } else { a }
            }
        }

        impl Fold<$value> for Max {
            #[inline]
            fn fold(a: $value, b: $value) -> $value {
                let less: fn(&$value, &$value) -> bool = $less;
                if less(&a, &b) { b } else { a }
            }
        }
    )*};
}

extremes! {
    u64, |a, b| a < b;
    i64, |a, b| a < b;
    bool, |a, b| !a & b;
    // The order of the encoding, in which -0 is below 0 and NaN above everything.
    f64, |a, b| a.total_cmp(b).is_lt();
}

/// Combiner and reducer that fold all values of a key with `F`.
pub struct Folding<K, V, F>(PhantomData<fn(K, V, F)>);

impl<K, V, F> fmt::Debug for Folding<K, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Folding")
    }
}

impl<K, V, F> Combiner for Folding<K, V, F>
where
    K: DataType,
    V: DataType,
    F: Fold<Owned<V>>,
{
    type Key = K;
    type Value = V;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self(PhantomData))
    }

    #[inline]
    fn combine(
        &mut self,
        _: K::View<'_>,
        values: &mut Values<'_, V>,
        out: &mut Combined<'_, K, V>,
    ) -> Result {
        if let Some(folded) = values.reduce(F::fold) {
            out.emit(folded);
        }
        Ok(())
    }
}

impl<K, V, F> Reducer for Folding<K, V, F>
where
    K: DataType,
    V: DataType,
    F: Fold<Owned<V>>,
{
    type Key = K;
    type Value = V;
    type Output = Emitter<K, V>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self(PhantomData))
    }

    #[inline]
    fn reduce(&mut self, key: K::View<'_>, values: &mut Values<'_, V>, out: &mut Emitter<K, V>) -> Result {
        if let Some(folded) = values.reduce(F::fold) {
            out.emit(key, folded);
        }
        Ok(())
    }
}
