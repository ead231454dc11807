//! Sound: samples in, samples out.
