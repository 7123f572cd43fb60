//! Projections: the nearest point of a convex set, with gradients to the point and to the set.

mod affine;
mod birkhoff_projection;
mod box_projection;
mod box_section_projection;
mod capped_simplex_projection;
mod common;
mod corner;
mod half_space_projection;
mod hyperplane_projection;
mod isotonic_regression;
mod l1_ball_projection;
mod l2_ball_projection;
mod linf_ball_projection;
mod permutahedron_projection;
mod simplex_projection;
mod transport_projection;

supple_core::family! { "project":
    simplex_projection::{SimplexProjection, simplex_projection};
    capped_simplex_projection::{CappedSimplexProjection, capped_simplex_projection};
    box_projection::{BoxProjection, box_projection};
    box_section_projection::{BoxSectionProjection, box_section_projection};
    half_space_projection::{HalfSpaceProjection, half_space_projection};
    hyperplane_projection::{HyperplaneProjection, hyperplane_projection};
    l1_ball_projection::{L1BallProjection, l1_ball_projection};
    l2_ball_projection::{L2BallProjection, l2_ball_projection};
    linf_ball_projection::{LinfBallProjection, linf_ball_projection};
    isotonic_regression::{IsotonicRegression, Regularization, isotonic_regression};
    permutahedron_projection::{PermutahedronProjection, permutahedron_projection};
    transport_projection::{TransportProjection, transport_projection};
    birkhoff_projection::{BirkhoffProjection, birkhoff_projection};
}
