import { expect, test } from 'vitest'
import {
  assignByNumber,
  assignedPartitions,
  type GroupMember,
  memberMetadata,
} from './kafka-assigner.ts'

const member = (memberId: string, topic: string, instance: string): GroupMember => ({
  memberId,
  memberMetadata: memberMetadata(topic, instance),
})

function byInstance(
  topic: string,
  partitions: number,
  instances: Readonly<Record<string, string>>,
): Record<string, number[]> {
  const members = Object.entries(instances).map(([id, name]) => member(id, topic, name))
  const owned: Record<string, number[]> = {}
  for (const { memberId, memberAssignment } of assignByNumber(topic, partitions, members)) {
    owned[instances[memberId] ?? ''] = assignedPartitions(topic, memberAssignment)
  }
  return owned
}

test('partition p goes to the member p mod n', () => {
  expect(byInstance('t', 7, { m1: 'a', m2: 'b', m3: 'c' })).toEqual({
    a: [0, 3, 6],
    b: [1, 4],
    c: [2, 5],
  })
})

test('equal numbers of different topics meet on one instance, whatever Kafka calls the members', () => {
  const evidence = byInstance('evidence', 12, { x9: 'a', x1: 'b', x5: 'c' })
  const decisions = byInstance('decisions', 12, { y1: 'a', y2: 'b', y0: 'c' })
  expect(evidence).toEqual(decisions)
})

test('twelve partitions have one owner each for any number of members', () => {
  for (let count = 1; count <= 15; count++) {
    const instances = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`m${i}`, `i${i}`]),
    )
    const all = Object.values(byInstance('t', 12, instances)).flat()
    expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, p) => p))
  }
})

test('members of one instance are told apart by their member id', () => {
  const assigned = assignByNumber('t', 2, [member('b', 't', 'same'), member('a', 't', 'same')])
  expect(assigned.map(one => one.memberId)).toEqual(['a', 'b'])
})

test('an answer without an assignment means no partition', () => {
  expect(assignedPartitions('t', Buffer.alloc(0))).toEqual([])
})
