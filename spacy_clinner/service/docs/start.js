// validatorUrl: the document is not sent to anybody's validator.
SwaggerUIBundle({ url: "../openapi.json", dom_id: "#api", validatorUrl: null });
