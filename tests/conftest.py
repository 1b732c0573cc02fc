"""What holds for all tests: none depends on how fast the machine is, and they may run side by side."""

import hypothesis

hypothesis.settings.register_profile("mailward", deadline=None)
hypothesis.settings.load_profile("mailward")
