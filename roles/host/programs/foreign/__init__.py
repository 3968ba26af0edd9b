"""Things on the host that are not ours: finding them, moving them aside, giving them back."""
