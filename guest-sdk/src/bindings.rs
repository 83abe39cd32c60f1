//! Bindings of `wit/engine.wit`, made at compile time: one module for the imports and one for each
//! role. A role is linked into a plugin only if [`export!`](crate::export) names it.

#![expect(missing_docs, reason = "generated; the interface is documented in wit/engine.wit")]

/// The imports, shared by all roles.
pub mod imports {
    wit_bindgen::generate!({
        world: "imports",
        path: "../wit",
        with: { "mr:engine/types@0.1.0": crate::wire },
        generate_all,
    });
}

/// One module for one role's world.
macro_rules! role {
    ($(#[$doc:meta])* $module:ident, $world:literal, $export:literal) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: "../wit",
                with: {
                    "mr:engine/types@0.1.0": crate::wire,
                    "mr:engine/output@0.1.0": super::imports::mr::engine::output,
                    "mr:engine/group-values@0.1.0": super::imports::mr::engine::group_values,
                    "mr:engine/config@0.1.0": super::imports::mr::engine::config,
                    "mr:engine/counters@0.1.0": super::imports::mr::engine::counters,
                    "mr:engine/logging@0.1.0": super::imports::mr::engine::logging,
                    "mr:engine/side-input@0.1.0": super::imports::mr::engine::side_input,
                },
                generate_all,
                pub_export_macro: true,
                export_macro_name: $export,
            });
        }
    };
}

role!(
    /// The mapper's exports.
    mapper, "mapper-role", "export_mapper"
);
role!(
    /// The combiner's exports.
    combiner, "combiner-role", "export_combiner"
);
role!(
    /// The reducer's exports.
    reducer, "reducer-role", "export_reducer"
);
role!(
    /// The partitioner's exports.
    partitioner, "partitioner-role", "export_partitioner"
);

/// The self-description's export.
pub mod plugin {
    wit_bindgen::generate!({
        world: "plugin-info",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_plugin",
    });
}
