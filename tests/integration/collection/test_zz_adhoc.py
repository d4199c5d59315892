import sys; sys.path.insert(0,'/work/wt/probe/tests/integration/collection')
import kubernetes, traceback, time
from pathlib import Path
from types import SimpleNamespace
import test_hops as t
from chain import Chain, connect, read
from harness import Cluster
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
def test_all():
    t.PORT=t.TARGET=8100
    lab=Path('/work/main/.lab/lab')
    cl=Cluster(admin=lab/'kubeconfig',limited=lab/'kubeconfig-tcp')
    c=Chain.__new__(Chain)
    c.exposure=SimpleNamespace(name='probe-gw',echo='probe-echo')
    c.cluster=cl; c.api=connect(cl.limited); c.admin=kubernetes.dynamic.DynamicClient(cl.client()); c.services=[]; c.results=[]
    recs=[{"name":"one","gateway":"edge","port":8100,"backend":{"namespace":"probe-echo","service":"echo","port":9000},"probe":{"mode":"send","send":"hi\\n","expect":"echo hi"}}]
    c.port=port_map(recs,[{"name":"edge","namespace":"probe-gw","service":{"type":"LoadBalancer"}}],read(c.api),'probe',prune=False)["ports"][0]
    bad=[]
    for name in ["network_policy_of_the_backend","firewall_without_the_port","address_that_leads_nowhere","backend_is_a_black_hole","another_application_answers"]:
        f,code,words=t.BREAKAGES[name]
        s=time.time()
        try:
            c.wait_until("proven")
            with f(c): v=c.verdict()
            ok=v["code"]==code and (words in v["message"] or 'first' in words)
        except BaseException as e:
            traceback.print_exc(); ok,v=False,str(e)
        print("OK" if ok else "BAD",name,v,round(time.time()-s,1),flush=True)
        if not ok: bad.append(name)
    assert not bad
