-- Answers what is known of a pull request.

return lately()
