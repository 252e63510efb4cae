"""The portal's JSON API, a module per subject."""
