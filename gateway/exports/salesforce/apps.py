"""The External Client App the gateways log in with. The consumer key is made by the org; no secret is ever written here.

With a certificate the app takes the JWT bearer grant (the key stays on the gateway); without one, client credentials.
"""

from __future__ import annotations

from gateway.exports.salesforce.permissions import PUBLISHER
from gateway.exports.salesforce.xml import Node, document

APP = "Edge_Gateway"
# Nobody is ever sent there; the field must be filled.
_CALLBACK = "https://login.salesforce.com/services/oauth2/success"


def app_files(contact: str, certificate: str | None) -> dict[str, str]:
    """Text by path below ``default``. `certificate` is PEM; raises ValueError when it holds a key or is none."""
    if certificate is not None:
        certificate = _public(certificate)
    return {
        f"externalClientApps/{APP}.eca-meta.xml": document(
            "ExternalClientApplication",
            {
                "contactEmail": contact,
                "description": "Gateways at the machines: publish events, read verdicts.",
                "distributionState": "Local",
                "isProtected": False,
                "label": "Edge Gateway",
            },
        ),
        f"extlClntAppGlobalOauthSets/{APP}_glbloauth.ecaGlblOauth-meta.xml": _global(certificate),
        f"extlClntAppOauthSettings/{APP}_oauth.ecaOauth-meta.xml": document(
            "ExtlClntAppOauthSettings",
            {
                # Without RefreshToken the JWT bearer grant is refused to users who are authorized in advance.
                "commaSeparatedOauthScopes": "Api, RefreshToken",
                "externalClientApplication": APP,
                "label": f"{APP}_oauth",
            },
        ),
        f"extlClntAppOauthPolicies/{APP}_oauthPlcy.ecaOauthPlcy-meta.xml": document(
            "ExtlClntAppOauthConfigurablePolicies",
            {
                "commaSeparatedPermissionSet": PUBLISHER,
                "externalClientApplication": APP,
                "ipRelaxationPolicyType": "Enforce",
                "isClientCredentialsFlowEnabled": False,  # needs a Run As user, whom only the administrator knows
                "label": f"{APP}_oauthPlcy",
                "permittedUsersPolicyType": "AdminApprovedPreAuthorized",
                "refreshTokenPolicyType": "Zero",
                "requiredSessionLevel": "STANDARD",
            },
        ),
    }


def _global(certificate: str | None) -> str:
    node: dict[str, Node] = {"callbackUrl": _CALLBACK}
    if certificate is not None:
        node["certificate"] = certificate
    return document(
        "ExtlClntAppGlobalOauthSettings",
        node
        | {
            "externalClientApplication": APP,
            "isClientCredentialsFlowEnabled": certificate is None,
            "isConsumerSecretOptional": False,
            "isIntrospectAllTokens": False,
            "isPkceRequired": True,
            "isSecretRequiredForRefreshToken": True,
            "label": f"{APP}_glbloauth",
            "shouldRotateConsumerKey": False,
            "shouldRotateConsumerSecret": False,
        },
    )


def _public(pem: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if "PRIVATE KEY" in pem:
        raise ValueError("the file holds a private key; give the certificate alone, the key stays on the gateway")
    if pem.count(begin) != 1 or end not in pem:
        raise ValueError("the file is not one certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return pem[pem.index(begin) : pem.index(end) + len(end)].replace("\r\n", "\n")
