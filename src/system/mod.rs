//! All that touches the host: thin, and without decisions of its own. The pure parts never import it.

pub mod accounts;
pub mod ask;
pub mod below;
pub mod clock;
pub mod dir;
pub mod link;
pub mod lock;
pub mod machine;
pub mod mount;
pub mod process;
pub mod read;
pub mod root;
pub mod stack;
pub mod stage;
pub mod units;
pub mod write;
