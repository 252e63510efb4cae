"""Reading released tags: profiles of customers, audiences, exports."""
