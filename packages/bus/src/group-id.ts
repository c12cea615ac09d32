/** Beginning with the topic, so that one prefix of permissions covers topics and groups. */
export function groupIdOf(topic: string, group: string): string {
  return `${topic}.${group}`
}
