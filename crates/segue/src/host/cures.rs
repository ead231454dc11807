//! Cures: what a user does about a refused privilege, in the words of the log and the doctor.

/// How real-time priority is had.
pub(crate) const PRIORITY: [&str; 3] = [
    "printf '@audio - rtprio 95\\n@audio - memlock unlimited\\n' \
     | sudo tee /etc/security/limits.d/95-segue.conf",
    "sudo usermod -aG audio \"$USER\"  # then log in again",
    "# for a service instead: LimitRTPRIO=95 and LimitMEMLOCK=infinity in its unit",
];

/// How memory may be locked, where priority is had already or from elsewhere.
pub(crate) const MEMORY: [&str; 2] = [
    "printf '@audio - memlock unlimited\\n' | sudo tee /etc/security/limits.d/96-segue.conf",
    "sudo usermod -aG audio \"$USER\"  # then log in again; a service: LimitMEMLOCK=infinity",
];
