/**
 * Every field of the Engine's create call, `POST /containers/create`, read off Moby's own description of it:
 * api/docs/v1.56.yaml of github.com/moby/moby at 1bb816fa5bcea68beb8a86968e2a9f4dda30d370, definitions
 * ContainerConfig, HealthConfig, HostConfig, Resources, Mount, DeviceMapping, DeviceRequest, PortMap, RestartPolicy,
 * NetworkingConfig, EndpointSettings and EndpointIPAMConfig, and the call's query parameters.
 * `[]` stands for an item of a list, `{}` for a value under a free key.
 */
const NEWEST = `
name platform
Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts{} Tty OpenStdin StdinOnce Env[] Cmd[]
Healthcheck.Test[] Healthcheck.Interval Healthcheck.Timeout Healthcheck.Retries Healthcheck.StartPeriod
Healthcheck.StartInterval ArgsEscaped Image Volumes{} WorkingDir Entrypoint[] NetworkDisabled OnBuild[] Labels{}
StopSignal StopTimeout Shell[]

HostConfig.CpuShares HostConfig.Memory HostConfig.CgroupParent HostConfig.BlkioWeight
HostConfig.BlkioWeightDevice[].Path HostConfig.BlkioWeightDevice[].Weight
HostConfig.BlkioDeviceReadBps[].Path HostConfig.BlkioDeviceReadBps[].Rate
HostConfig.BlkioDeviceWriteBps[].Path HostConfig.BlkioDeviceWriteBps[].Rate
HostConfig.BlkioDeviceReadIOps[].Path HostConfig.BlkioDeviceReadIOps[].Rate
HostConfig.BlkioDeviceWriteIOps[].Path HostConfig.BlkioDeviceWriteIOps[].Rate
HostConfig.CpuPeriod HostConfig.CpuQuota HostConfig.CpuRealtimePeriod HostConfig.CpuRealtimeRuntime
HostConfig.CpusetCpus HostConfig.CpusetMems
HostConfig.Devices[].PathOnHost HostConfig.Devices[].PathInContainer HostConfig.Devices[].CgroupPermissions
HostConfig.DeviceCgroupRules[]
HostConfig.DeviceRequests[].Driver HostConfig.DeviceRequests[].Count HostConfig.DeviceRequests[].DeviceIDs[]
HostConfig.DeviceRequests[].Capabilities[][] HostConfig.DeviceRequests[].Options{}
HostConfig.MemoryReservation HostConfig.MemorySwap HostConfig.MemorySwappiness HostConfig.NanoCpus
HostConfig.OomKillDisable HostConfig.Init HostConfig.PidsLimit
HostConfig.Ulimits[].Name HostConfig.Ulimits[].Soft HostConfig.Ulimits[].Hard
HostConfig.CpuCount HostConfig.CpuPercent HostConfig.IOMaximumIOps HostConfig.IOMaximumBandwidth

HostConfig.Binds[] HostConfig.ContainerIDFile HostConfig.LogConfig.Type HostConfig.LogConfig.Config{}
HostConfig.NetworkMode HostConfig.PortBindings{}[].HostIp HostConfig.PortBindings{}[].HostPort
HostConfig.RestartPolicy.Name HostConfig.RestartPolicy.MaximumRetryCount HostConfig.AutoRemove
HostConfig.VolumeDriver HostConfig.VolumesFrom[]
HostConfig.Mounts[].Target HostConfig.Mounts[].Source HostConfig.Mounts[].Type HostConfig.Mounts[].ReadOnly
HostConfig.Mounts[].Consistency
HostConfig.Mounts[].BindOptions.Propagation HostConfig.Mounts[].BindOptions.NonRecursive
HostConfig.Mounts[].BindOptions.CreateMountpoint HostConfig.Mounts[].BindOptions.ReadOnlyNonRecursive
HostConfig.Mounts[].BindOptions.ReadOnlyForceRecursive
HostConfig.Mounts[].VolumeOptions.NoCopy HostConfig.Mounts[].VolumeOptions.Labels{}
HostConfig.Mounts[].VolumeOptions.DriverConfig.Name HostConfig.Mounts[].VolumeOptions.DriverConfig.Options{}
HostConfig.Mounts[].VolumeOptions.Subpath HostConfig.Mounts[].ImageOptions.Subpath
HostConfig.Mounts[].TmpfsOptions.SizeBytes HostConfig.Mounts[].TmpfsOptions.Mode
HostConfig.Mounts[].TmpfsOptions.Options[][]
HostConfig.ConsoleSize[] HostConfig.Annotations{} HostConfig.CapAdd[] HostConfig.CapDrop[] HostConfig.CgroupnsMode
HostConfig.Dns[] HostConfig.DnsOptions[] HostConfig.DnsSearch[] HostConfig.ExtraHosts[] HostConfig.GroupAdd[]
HostConfig.IpcMode HostConfig.Cgroup HostConfig.Links[] HostConfig.OomScoreAdj HostConfig.PidMode
HostConfig.Privileged HostConfig.PublishAllPorts HostConfig.ReadonlyRootfs HostConfig.SecurityOpt[]
HostConfig.StorageOpt{} HostConfig.Tmpfs{} HostConfig.UTSMode HostConfig.UsernsMode HostConfig.ShmSize
HostConfig.Sysctls{} HostConfig.Runtime HostConfig.Umask HostConfig.Isolation HostConfig.MaskedPaths[]
HostConfig.ReadonlyPaths[]

NetworkingConfig.EndpointsConfig{}.IPAMConfig.IPv4Address NetworkingConfig.EndpointsConfig{}.IPAMConfig.IPv6Address
NetworkingConfig.EndpointsConfig{}.IPAMConfig.LinkLocalIPs[] NetworkingConfig.EndpointsConfig{}.Links[]
NetworkingConfig.EndpointsConfig{}.MacAddress NetworkingConfig.EndpointsConfig{}.Aliases[]
NetworkingConfig.EndpointsConfig{}.DriverOpts{} NetworkingConfig.EndpointsConfig{}.GwPriority
NetworkingConfig.EndpointsConfig{}.NetworkID NetworkingConfig.EndpointsConfig{}.EndpointID
NetworkingConfig.EndpointsConfig{}.Gateway NetworkingConfig.EndpointsConfig{}.IPAddress
NetworkingConfig.EndpointsConfig{}.IPPrefixLen NetworkingConfig.EndpointsConfig{}.IPv6Gateway
NetworkingConfig.EndpointsConfig{}.GlobalIPv6Address NetworkingConfig.EndpointsConfig{}.GlobalIPv6PrefixLen
NetworkingConfig.EndpointsConfig{}.DNSNames[]
`;

/** Gone from the newest description, and still taken by daemons that are in use: api/docs/v1.25.yaml to v1.43.yaml. */
const OLDER = "MacAddress HostConfig.DiskQuota HostConfig.KernelMemory HostConfig.KernelMemoryTCP";

export const ENGINE_CREATE_FIELDS: readonly string[] = `${NEWEST} ${OLDER}`.trim().split(/\s+/);
