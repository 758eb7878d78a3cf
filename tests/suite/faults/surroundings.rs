//! Machines in trouble.
