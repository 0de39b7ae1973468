/** Why a policy is refused, in AWS's words where AWS has some. Shown to whoever sent it. */
export class PolicyProblem extends Error {
  override readonly name = "PolicyProblem";
}
