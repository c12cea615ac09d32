import { kafkaJs } from './kafka-js.ts'

/** Named in the group: members with another way to divide partitions cannot join by mistake. */
export const assignerName = 'winnow-by-number'

export interface GroupMember {
  readonly memberId: string
  readonly memberMetadata: Buffer
}

/** What a member says of itself when it joins: the instance that orders it. */
export function memberMetadata(topic: string, instance: string): Buffer {
  const { MemberMetadata } = kafkaJs().AssignerProtocol
  return MemberMetadata.encode({ version: 0, topics: [topic], userData: Buffer.from(instance) })
}

/**
 * Partition p goes to the member p mod n, in the order of their instances, which are the same in
 * equally named groups of other topics, while Kafka's member ids are not. So `evidence/7` and
 * `decisions/7` meet on one instance, whatever the partition count is.
 */
export function assignByNumber(
  topic: string,
  partitions: number,
  members: readonly GroupMember[],
): { readonly memberId: string; readonly memberAssignment: Buffer }[] {
  const { MemberAssignment, MemberMetadata } = kafkaJs().AssignerProtocol
  const ordered = members
    .map(({ memberId, memberMetadata: metadata }) => ({
      memberId,
      instance: MemberMetadata.decode(metadata)?.userData.toString() ?? '',
      owns: [] as number[],
    }))
    .sort((a, b) => compare(a.instance, b.instance) || compare(a.memberId, b.memberId))
  for (let partition = 0; partition < partitions; partition++) {
    ordered[partition % ordered.length]?.owns.push(partition)
  }
  return ordered.map(({ memberId, owns }) => ({
    memberId,
    memberAssignment: MemberAssignment.encode({
      version: 0,
      assignment: { [topic]: owns },
      userData: Buffer.alloc(0),
    }),
  }))
}

/** The partitions that the leader of the group gave this member; none when it said nothing. */
export function assignedPartitions(topic: string, assignment: Buffer): number[] {
  const { MemberAssignment } = kafkaJs().AssignerProtocol
  return MemberAssignment.decode(assignment)?.assignment[topic] ?? []
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
