"""The proxy bench: the same load through Understudy, HAProxy and Envoy, and what each request cost."""
