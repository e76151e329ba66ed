//! Closed sets: values that a kernel program writes as numbers and that are shown as label values, and indices into maps.

/// Makes an enumeration of such a set: each value with its documentation and its word. Numbers count up from 0, and the first value
/// stands for every number that is none.
macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident { $(#[$first_doc:meta])* $first:ident = $first_word:literal, $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $set {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$value_doc])* $value,)+
        }

        impl $set {
            /// Every value, in the order of its number.
            pub const ALL: [Self; [$first_word, $($word),+].len()] = [Self::$first, $(Self::$value),+];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$value => $word,)+
                }
            }

            /// The value of a number that a kernel program wrote.
            #[inline(always)]
            pub const fn from_number(number: u8) -> Self {
                match number {
                    $(number if number == Self::$value as u8 => Self::$value,)+
                    _ => Self::$first,
                }
            }
        }
    };
}
pub(crate) use closed_set;

/// Makes an enumeration whose numbers are the indices into a map, which has as many entries.
macro_rules! indices {
    ($(#[$doc:meta])* $set:ident { $($(#[$value_doc:meta])* $value:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $set {
            $($(#[$value_doc])* $value,)+
        }

        impl $set {
            /// How many there are.
            pub const COUNT: usize = [$(Self::$value),+].len();
        }
    };
}
pub(crate) use indices;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public sets")]
mod tests {
    closed_set! {
        /// A set.
        Set {
            /// 0
            Nothing = "nothing",
            /// 1
            One = "one",
            /// 2
            Two = "two",
        }
    }

    #[test]
    fn values_survive_their_numbers_and_other_numbers_are_the_first_value() {
        for value in Set::ALL {
            assert_eq!(Set::from_number(value as u8), value);
        }
        assert_eq!(Set::from_number(3), Set::default());
        assert_eq!(Set::ALL.map(Set::as_str), ["nothing", "one", "two"]);
    }
}
