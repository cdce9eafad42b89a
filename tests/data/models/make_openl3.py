#!/usr/bin/env python3
"""Makes openl3_order.h5.gz: OpenL3's layers in a Keras file (0.2 form, with a stored front end) whose names count downwards. Each tensor
is filled with 100 times its layer's place plus its own place, so that a test can tell them apart. Needs h5py; nothing here runs in tests."""
import os
import h5py, numpy as np, gzip
ch=[64,64,128,128,256,256,512,512]
path='/tmp/openl3_order.h5'
with h5py.File(path,'w',libver='earliest') as f:
    names=['input_7','melspectrogram_4']; 
    def layer(name,weights):
        g=f.create_group(name); g.attrs['weight_names']=[w.encode() for w,_ in weights]
        for w,a in weights: g.create_dataset(w,data=a)
    layer('input_7',[]); layer('melspectrogram_4',[('melspectrogram_4/Variable:0',np.zeros((3,2),np.float32))])
    cin=1; b=30; c=11; act=5
    for i,co in enumerate(ch):
        n='batch_normalization_%d'%b; b-=1   # numbers that fall: order of layer_names counts
        layer(n,[(n+'/'+p+':0',np.full(cin,100*(2*i)+k,np.float32)) for k,p in enumerate(['gamma','beta','moving_mean','moving_variance'])]); names.append(n)
        n='audio_embedding_layer' if i==7 else 'conv2d_%d'%c; c+=1
        layer(n,[(n+'/kernel:0',np.full((3,3,cin,co),100*(2*i+1),np.float32)),(n+'/bias:0',np.full(co,100*(2*i+1)+1,np.float32))]); names.append(n)
        a='activation_%d'%act; act+=1; layer(a,[]); names.append(a)
        cin=co
    f.attrs['layer_names']=[x.encode() for x in names]; f.attrs['keras_version']=b'2.0.9'; f.attrs['backend']=b'tensorflow'
data=open(path,'rb').read()
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "openl3_order.h5.gz"),'wb').write(gzip.compress(data,9,mtime=0))
