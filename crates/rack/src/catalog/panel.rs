//! What a module's render is given.
