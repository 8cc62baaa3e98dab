"""Pictures and the page that shows them."""
