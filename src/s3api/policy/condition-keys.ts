/**
 * The condition keys a policy may name, in lower case. Those that say something of a request here
 * get their values in `request-values.ts`; the others never have one, as on AWS when they do not
 * apply (no request here comes through a VPC endpoint).
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 */
const KEYS: ReadonlySet<string> = new Set([
  "atoll:bucketcreator",
  "aws:calledvia",
  "aws:calledviafirst",
  "aws:calledvialast",
  "aws:currenttime",
  "aws:epochtime",
  "aws:federatedprovider",
  "aws:multifactorauthage",
  "aws:multifactorauthpresent",
  "aws:principalaccount",
  "aws:principalarn",
  "aws:principalisawsservice",
  "aws:principalorgid",
  "aws:principalorgpaths",
  "aws:principalservicename",
  "aws:principalservicenameslist",
  "aws:principaltype",
  "aws:referer",
  "aws:requestedregion",
  "aws:resourceaccount",
  "aws:resourceorgid",
  "aws:resourceorgpaths",
  "aws:securetransport",
  "aws:sourceaccount",
  "aws:sourcearn",
  "aws:sourceip",
  "aws:sourceorgid",
  "aws:sourceorgpaths",
  "aws:sourcevpc",
  "aws:sourcevpce",
  "aws:tagkeys",
  "aws:tokenissuetime",
  "aws:useragent",
  "aws:userid",
  "aws:username",
  "aws:viaawsservice",
  "aws:vpcsourceip",
  "s3:accessgrantsinstancearn",
  "s3:accesspointnetworkorigin",
  "s3:authtype",
  "s3:dataaccesspointaccount",
  "s3:dataaccesspointarn",
  "s3:delimiter",
  "s3:if-match",
  "s3:if-none-match",
  "s3:inventoryaccessibleoptionalfields",
  "s3:isreplicationpauserequest",
  "s3:jobsuspendedcause",
  "s3:locationconstraint",
  "s3:max-keys",
  "s3:object-lock-legal-hold",
  "s3:object-lock-mode",
  "s3:object-lock-remaining-retention-days",
  "s3:object-lock-retain-until-date",
  "s3:objectcreationoperation",
  "s3:prefix",
  "s3:requestobjecttagkeys",
  "s3:resourceaccount",
  "s3:signatureage",
  "s3:signatureversion",
  "s3:tlsversion",
  "s3:versionid",
]);

/** Families of keys: a header of the request, or the value of a tag. */
const FAMILIES = [
  "s3:x-amz-",
  "s3:existingobjecttag/",
  "s3:requestobjecttag/",
  "s3:buckettag/",
  "aws:principaltag/",
  "aws:requesttag/",
  "aws:resourcetag/",
];

/** Whether AWS or Atoll has a condition key of that name, as `conditionKey` writes it. */
export function isKnownConditionKey(key: string): boolean {
  return KEYS.has(key) || FAMILIES.some((family) => key.startsWith(family) && key !== family);
}
