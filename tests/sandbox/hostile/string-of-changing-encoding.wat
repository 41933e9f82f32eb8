;; Answers a string in latin1+utf16 whose tag says UTF-16 and whose length in bytes overflows.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\18\00\00\00\ff\ff\ff\ff")
    (func (export "attack") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")) string-encoding=latin1+utf16)))
