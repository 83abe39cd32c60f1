//! `export!`: makes a crate a component, by giving the engine one type for each role.

/// Exports roles as a plugin. Any of them may be left out, but not reordered; a plugin of
/// attributes alone is a job whose stages pass records on unchanged.
///
/// ```
/// use guest_sdk::prelude::*;
///
/// struct Words;
///
/// impl Mapper for Words {
///     type Input = Lines;
///     type Output = Emitter<Text, u64>;
///
///     fn setup(_: &Task) -> Result<Self> {
///         Ok(Words)
///     }
///
///     fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
///         for word in line.words() {
///             out.emit(word, 1);
///         }
///         Ok(())
///     }
/// }
///
/// guest_sdk::export! {
///     name: "words",
///     mapper: Words,
///     reducer: Folding<Text, u64, Sum>,
///     attributes: { "author": "me" },
/// }
/// # fn main() {}
/// ```
///
/// In every build it also makes a function `description()`, which tells what the plugin says of
/// itself.
#[macro_export]
macro_rules! export {
    (
        name: $name:literal
        $(, mapper: $mapper:ty)?
        $(, combiner: $combiner:ty)?
        $(, reducer: $reducer:ty)?
        $(, partitioner: $partitioner:ty)?
        $(, attributes: { $($attribute:literal: $value:literal),* $(,)? })?
        $(,)?
    ) => {
        /// What this plugin says of itself.
        pub fn description() -> $crate::Description {
            $crate::Description::new($name, env!("CARGO_PKG_VERSION"))
                $(.mapper::<$mapper>())?
                $(.combiner::<$combiner>())?
                $(.reducer::<$reducer>())?
                $(.partitioner::<$partitioner>())?
                $($(.attribute($attribute, $value))*)?
        }

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::sandbox;

            struct Plugin;

            $(sandbox::export_role!(Plugin, mapper, sandbox::MapDriver<$mapper>);)?
            $(sandbox::export_role!(Plugin, combiner, sandbox::CombineDriver<$combiner>);)?
            $(sandbox::export_role!(Plugin, reducer, sandbox::ReduceDriver<$reducer>);)?
            $(sandbox::export_role!(Plugin, partitioner, sandbox::PartitionDriver<$partitioner>);)?

            impl sandbox::plugin::exports::mr::engine::plugin::Guest for Plugin {
                fn describe() -> sandbox::plugin::exports::mr::engine::plugin::Info {
                    sandbox::info(description())
                }
            }
            sandbox::plugin::export_plugin!(Plugin with_types_in $crate::sandbox::plugin);
        };
    };
}
