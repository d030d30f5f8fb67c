//! interception
