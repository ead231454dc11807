//! The instrument: modules, patch, plan and agenda, in an arena.
