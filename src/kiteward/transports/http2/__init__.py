"""HTTP/2 for servers (RFC 9113, RFC 7541): connections that a listener accepted, and the streams on them."""
