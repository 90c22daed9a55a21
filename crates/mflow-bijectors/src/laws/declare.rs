//! How a list of laws is written down: name, statement and function of each, once.

/// Makes the enum `Law` of a module whose functions try laws on its `Trial` and `Inputs`. For the suites of this project.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_laws {
    ($($law:ident, $name:literal, $statement:literal, $function:path;)*) => {
        /// A law.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Law {
            $(#[doc = $statement] $law,)*
        }

        impl Law {
            /// All of them, in the order in which [`check`] tries them.
            pub const ALL: &[Self] = &[$(Self::$law,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$law => $name,)*
                }
            }

            /// What it says.
            pub fn statement(self) -> &'static str {
                match self {
                    $(Self::$law => $statement,)*
                }
            }

            fn attempt(self, trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
                match self {
                    $(Self::$law => $function(trial, inputs),)*
                }
            }
        }

        impl std::fmt::Display for Law {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
