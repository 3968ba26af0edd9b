"""AI Unified Backend: plain Linux hosts become one OpenAI-compatible endpoint. See docs/architecture.md."""
