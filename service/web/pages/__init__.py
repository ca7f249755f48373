"""The pages for people: server-rendered, usable before any script has run. See "How a page is made" in the house."""
