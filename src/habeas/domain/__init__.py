"""Values and rules of privacy requests. Standard library only; knows no other room."""
