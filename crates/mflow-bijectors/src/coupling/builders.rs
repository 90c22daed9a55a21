//! The builder methods that configs of conditioned maps share.

/// Methods of a config with the fields `context_dim`, `map`, `net` of the given type, and `route`.
macro_rules! conditioned_builders {
    ($net:ty) => {
        /// Condition on `context_dim` features.
        #[must_use]
        pub fn with_context(self, context_dim: usize) -> Self {
            Self { context_dim, ..self }
        }
        /// With another element-wise map.
        #[must_use]
        pub fn with_map(self, map: UnivariateConfig) -> Self {
            Self { map, ..self }
        }
        /// With another conditioner.
        #[must_use]
        pub fn with_net(self, net: $net) -> Self {
            Self { net, ..self }
        }
        /// With the other route.
        #[must_use]
        pub fn with_route(self, route: Route) -> Self {
            Self { route, ..self }
        }
    };
}
pub(crate) use conditioned_builders;
