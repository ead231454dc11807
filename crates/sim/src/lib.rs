//! The lockstep in a world we control.
