"""What is looked for in Bundles."""


def resources(bundle):
    return [entry["resource"] for entry in bundle.get("entry", ())]


def code(concept):
    return concept["coding"][0]["code"]


def is_active_condition(resource):
    if resource["resourceType"] != "Condition":
        return False
    return "clinicalStatus" in resource and code(resource["clinicalStatus"]) == "active"
