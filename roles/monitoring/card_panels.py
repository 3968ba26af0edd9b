"""What the dashboards show of NVIDIA's cards."""

from __future__ import annotations

from roles.contract.graphs import Curve
from roles.monitoring.panel import Panel, Section

_CARD = "a card of NVIDIA"

CARDS = Section(
    "Cards",
    (
        Panel(
            "Memory of cards",
            "bytes",
            (
                Curve("ai_backend_card_memory_used_bytes", "card {{card}}: in use"),
                Curve("ai_backend_card_memory_bytes", "card {{card}}: all"),
            ),
            "As nvidia-smi shows it.",
            essential=True,
            needs=_CARD,
        ),
        Panel(
            "Cards in use",
            "share",
            (Curve("ai_backend_card_utilization_ratio", "card {{card}}"),),
            "Of the time: a card that computes one thing at a time is in use as one that computes a hundred.",
            essential=True,
            needs=_CARD,
        ),
        Panel(
            "Temperature of cards",
            "°C",
            (Curve("ai_backend_card_temperature_celsius", "card {{card}}"),),
            essential=True,
            needs=_CARD,
        ),
        Panel(
            "How much hotter cards may be",
            "°C",
            (Curve("ai_backend_card_temperature_left_celsius", "card {{card}}"),),
            "At 0 a card slows down.",
            needs="a card that says it",
        ),
        Panel(
            "Power of cards",
            "W",
            (
                Curve("ai_backend_card_power_watts", "card {{card}}"),
                Curve("ai_backend_card_power_limit_watts", "card {{card}}: limit"),
            ),
            needs=_CARD,
        ),
        Panel(
            "Cards that are slowed down",
            "",
            (Curve("ai_backend_card_throttled == 1", "card {{card}}: {{reason}}"),),
            "sw_power_cap is usual under load: the card draws what it may.",
            needs="a card that is slowed down",
        ),
        Panel(
            "Errors of cards' memory",
            "",
            (Curve("ai_backend_card_uncorrected_errors_total", "card {{card}}"),),
            "Those that could not be corrected, since the driver was loaded.",
            needs="a card with ECC",
        ),
    ),
)
