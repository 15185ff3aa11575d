"""A package, so that server and browser live as long as the tests here."""
