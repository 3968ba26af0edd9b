"""What is checked: each module holds some checks, and says what is seen where one fails."""
